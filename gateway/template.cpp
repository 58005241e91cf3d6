// Compiling and expanding the templates of a call.
#include "gateway/template.hpp"

#include "gateway/percent.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

// What RFC 3986 lets stand for itself in a path or query; '%' only as part of an escape.
bool is_target_char(char c) {
  return is_unreserved(c) || std::string_view("!$&'()*+,;=:@/?").find(c) != std::string_view::npos;
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// What a header's value must not contain: a line break would begin another header (RFC 9110 §5.5).
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// One byte off the front of a query's name or value, where '+' is a space.
char take_query_byte(std::string_view& text) {
  const bool is_plus = text.front() == '+';
  const char byte = take_decoded(text);
  return is_plus ? ' ' : byte;
}

bool query_name_is(std::string_view encoded, std::string_view name) {
  for (char c : name) {
    if (encoded.empty() || take_query_byte(encoded) != c) return false;
  }
  return encoded.empty();
}

// The value, still encoded, of the first query parameter called `name`.
std::optional<std::string_view> find_query(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (query_name_is(pair.substr(0, equals), name)) {
      return equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

// A segment `.` or `..` would climb out of the folder that the template names, encoded or not.
bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

// Longer values would make requests that nobody takes.
constexpr std::size_t kMaxScalarBytes = 8192;

std::optional<std::string_view> find_json(const TemplateValues& values, std::size_t call, const JsonPointer& pointer) {
  for (const auto& [known, value] : values.found) {
    if (known == &pointer) return value;
  }
  return pointer.find(call == JsonReference::kItem ? values.item : values.json_of_call(values.calls, call));
}

// `value`, if it is a scalar: a string without its escapes, for which `unescaped` has room.
std::optional<std::string_view> scalar_of(std::optional<std::string_view> value, std::string& unescaped) {
  if (!value || value->size() > kMaxScalarBytes) return std::nullopt;
  switch (kind_of(*value)) {
    case JsonKind::null:
    case JsonKind::object:
    case JsonKind::array:
      return std::nullopt;
    case JsonKind::number:
    case JsonKind::boolean:
      return value;
    case JsonKind::string:
      break;
  }
  const std::string_view content = value->substr(1, value->size() - 2);
  if (content.find('\\') == std::string_view::npos) return content;
  auto text = unescape_json(content);
  if (!text) return std::nullopt;
  unescaped = std::move(*text);
  return unescaped;
}

}  // namespace

struct Template::Compiler {
  std::string_view source;
  Place place;
  const ReferenceNames& names;
  std::string& problem;
  Template result;
  std::string path;  // without the names of its references

  bool run() {
    result.parts_.push_back({place == Place::target ? Encoding::segment : Encoding::header, {}});
    if (place == Place::target && !source.starts_with('/')) return fail("must begin with \"/\"");
    for (std::size_t at = 0; at < source.size();) {
      if (source[at] == '{') {
        const std::size_t end = source.find('}', at);
        if (end == std::string_view::npos) return fail("has a \"{\" without its \"}\"");
        if (!reference(source.substr(at + 1, end - at - 1))) return false;
        if (in_path()) path += "{}";
        at = end + 1;
      } else if (!literal(at)) {
        return false;
      } else {
        ++at;
      }
    }
    if (place == Place::target && has_dot_segment(path)) {
      return fail("must not have a segment \".\" or \"..\"");
    }
    std::erase_if(result.parts_,
                  [](const Part& part) { return part.encoding == Encoding::query && part.pieces.empty(); });
    return true;
  }

  bool literal(std::size_t at) {
    const char c = source[at];
    if (c == '}') return fail("has a \"}\" without its \"{\"");
    if (place == Place::header) {
      if (is_control(c)) return fail("must not contain a line break or another control character");
    } else if (in_path() ? c == '?' : c == '&') {
      result.parts_.push_back({Encoding::query, {}});
      return true;
    } else if (!is_target_char(c) && !is_escape(source, at)) {
      return fail(std::string("must be percent-encoded: \"") + c + "\" cannot stand in a path or query as it is");
    }
    auto& pieces = result.parts_.back().pieces;
    if (pieces.empty() || pieces.back().source != Source::literal) pieces.push_back({Source::literal, {}});
    pieces.back().text.push_back(c);
    if (in_path()) path += c;
    return true;
  }

  bool reference(std::string_view name) {
    auto& pieces = result.parts_.back().pieces;
    if (name.starts_with("query.") && name.size() > 6) {
      pieces.push_back({Source::query, std::string(name.substr(6))});
      return true;
    }
    if (name.starts_with("header.") && name.size() > 7) {
      std::string header(name.substr(7));
      if (!std::all_of(header.begin(), header.end(), is_token_char)) {
        return fail("refers to \"{" + std::string(name) + "}\", which is no header name");
      }
      std::transform(header.begin(), header.end(), header.begin(), lower);
      auto& headers = result.headers_;
      if (std::find(headers.begin(), headers.end(), header) == headers.end()) headers.push_back(header);
      pieces.push_back({Source::header, std::move(header)});
      return true;
    }
    for (std::size_t i = 0; i < names.parameters.size(); ++i) {
      const std::string_view parameter = names.parameters[i];
      const bool is_rest = parameter.ends_with("...");
      if (parameter.substr(0, parameter.size() - (is_rest ? 3 : 0)) != name) continue;
      pieces.push_back({is_rest ? Source::rest : Source::parameter, {}, i});
      return true;
    }
    std::string mistake;
    auto json = JsonReference::parse(name, names, mistake);
    if (!json) return mistake.empty() ? unknown(name) : fail(std::move(mistake));
    if (json->call == JsonReference::kItem) {
      result.reads_item_ = true;
    } else if (std::find(result.calls_.begin(), result.calls_.end(), json->call) == result.calls_.end()) {
      result.calls_.push_back(json->call);
    }
    pieces.push_back({Source::json, {}, json->call, std::move(json->pointer)});
    return true;
  }

  bool unknown(std::string_view name) {
    const std::string_view first = name.substr(0, name.find_first_of(".:"));
    std::string message = "refers to \"{" + std::string(name) + "}\"";
    if (first == "item") return fail(message + ", which only a call with \"for_each\" has");
    const std::string hint = names.hint(first);
    if (!hint.empty()) return fail(message + hint);
    message += ", expected ";
    for (std::string_view parameter : names.parameters) {
      message += "{" + std::string(parameter.substr(0, parameter.find("..."))) + "}, ";
    }
    message +=
        names.calls.size() > 1 ? "{query.NAME}, {header.NAME} or {CALL.MEMBER}" : "{query.NAME} or {header.NAME}";
    return fail(std::move(message));
  }

  bool in_path() const { return place == Place::target && result.parts_.size() == 1; }

  bool fail(std::string message) {
    problem = std::move(message);
    return false;
  }
};

std::optional<Template> Template::compile(std::string_view source, Place place, const ReferenceNames& names,
                                          std::string& problem) {
  Compiler compiler{source, place, names, problem, {}, {}};
  if (!compiler.run()) return std::nullopt;
  return std::move(compiler.result);
}

bool Template::reads_target() const {
  const auto is_of_target = [](const Piece& piece) {
    return piece.source != Source::literal && piece.source != Source::header;
  };
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) {
    return std::any_of(part.pieces.begin(), part.pieces.end(), is_of_target);
  });
}

bool Template::expand(const TemplateValues& values, std::string& out, std::optional<std::size_t>* culprit) const {
  const std::size_t start = out.size();
  std::optional<std::size_t> lacking;
  char separator = '?';
  for (const Part& part : parts_) {
    const std::size_t before = out.size();
    if (part.encoding == Encoding::query) out.push_back(separator);
    if (append(part, values, out, lacking)) {
      if (part.encoding == Encoding::query) separator = '&';
      continue;
    }
    if (part.encoding != Encoding::query) {
      out.resize(start);
      if (culprit != nullptr) *culprit = lacking;
      return false;
    }
    out.resize(before);
  }
  return true;
}

bool Template::append(const Part& part, const TemplateValues& values, std::string& out,
                      std::optional<std::size_t>& culprit) {
  const std::size_t start = out.size();
  std::optional<std::size_t> call;  // that has to do with a dot segment
  bool is_of_client = false;
  culprit.reset();
  for (const Piece& piece : part.pieces) {
    const std::size_t before = out.size();
    if (piece.source == Source::json) call = piece.index;
    if (!append(piece, part.encoding, values, out)) {
      if (piece.source == Source::json) culprit = piece.index;
      return false;
    }
    is_of_client = is_of_client || (piece.source != Source::json && piece.source != Source::literal &&
                                    has_dot_segment(std::string_view(out).substr(before)));
  }
  if (part.encoding != Encoding::segment || !has_dot_segment(std::string_view(out).substr(start))) return true;
  if (!is_of_client) culprit = call;
  return false;
}

bool Template::append(const Piece& piece, Encoding encoding, const TemplateValues& values, std::string& out) {
  std::optional<std::string_view> value;
  std::string unescaped;
  switch (piece.source) {
    case Source::literal:
      out += piece.text;
      return true;
    case Source::parameter:
    case Source::rest:
      if (piece.index < values.path.size()) value = values.path[piece.index];
      break;
    case Source::query:
      value = find_query(values.query, piece.text);
      break;
    case Source::header:
      if (values.find_header != nullptr) value = values.find_header(values.headers, piece.text);
      break;
    case Source::json:
      value = scalar_of(find_json(values, piece.index, piece.pointer), unescaped);
      break;
  }
  if (!value) return false;
  if (encoding == Encoding::segment && value->empty() && piece.source != Source::rest) return false;
  for (std::string_view left = *value; !left.empty();) {
    // A slash that separates segments of `{rest...}` stays one; an encoded slash stays encoded.
    if (piece.source == Source::rest && encoding == Encoding::segment && left.front() == '/') {
      out.push_back('/');
      left.remove_prefix(1);
      continue;
    }
    char byte = left.front();
    if (piece.source == Source::header || piece.source == Source::json) {
      left.remove_prefix(1);
    } else {
      byte = piece.source == Source::query ? take_query_byte(left) : take_decoded(left);
    }
    if (encoding != Encoding::header) {
      append_encoded(byte, out);
    } else if (is_control(byte)) {
      return false;
    } else {
      out.push_back(byte);
    }
  }
  return true;
}

}  // namespace sluice::gateway
