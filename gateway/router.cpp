// Building and searching the routing table.
#include "gateway/router.hpp"

#include "gateway/percent.hpp"

#include <algorithm>

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxLiteral = 255;

bool is_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_unreserved(c) && c != '.' && c != '~'; });
}

bool parse_segment(std::string_view text, Pattern::Segment& segment, std::string& problem) {
  if (text.starts_with('{') && text.ends_with('}')) {
    std::string_view name = text.substr(1, text.size() - 2);
    const bool is_rest = name.ends_with("...");
    if (is_rest) name.remove_suffix(3);
    if (!is_name(name)) {
      problem =
          "has \"" + std::string(text) + "\", expected a name of letters, digits, \"_\" and \"-\" between the braces";
      return false;
    }
    segment = {is_rest ? Pattern::Kind::rest : Pattern::Kind::parameter, std::string(name)};
    return true;
  }
  segment = {Pattern::Kind::literal, {}};
  for (std::string_view left = text; !left.empty();) {
    const char c = left.front();
    if (c == '{' || c == '}') {
      problem = "has \"" + std::string(text) + "\", expected \"{NAME}\" to be a whole segment";
      return false;
    }
    if (c == '?' || c == '#' || (c >= 0 && c <= ' ') || c == 0x7f || (c == '%' && !is_escape(left, 0))) {
      problem = "has \"" + std::string(1, c) + "\", expected a path whose special characters are percent-encoded";
      return false;
    }
    segment.text.push_back(take_decoded(left));
  }
  if (segment.text == "." || segment.text == "..") {
    problem = "must not have a segment \".\" or \"..\"";
    return false;
  }
  if (segment.text.size() > kMaxLiteral) {
    problem = "has a segment of more than " + std::to_string(kMaxLiteral) + " bytes";
    return false;
  }
  return true;
}

}  // namespace

std::vector<std::string> Pattern::parameters() const {
  std::vector<std::string> names;
  for (const Segment& segment : segments) {
    if (segment.kind == Kind::parameter) names.push_back(segment.text);
    if (segment.kind == Kind::rest) names.push_back(segment.text + "...");
  }
  return names;
}

std::optional<Pattern> Pattern::parse(std::string_view path, std::string& problem) {
  if (!path.starts_with('/')) {
    problem = "must begin with \"/\"";
    return std::nullopt;
  }
  Pattern pattern;
  std::vector<std::string_view> names;
  std::size_t at = 0;
  while (at != std::string_view::npos) {
    const std::size_t end = path.find('/', at + 1);
    const std::string_view text = path.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    if (text.empty() && end != std::string_view::npos) {
      problem = "has an empty segment";
      return std::nullopt;
    }
    Segment segment;
    if (!parse_segment(text, segment, problem)) return std::nullopt;
    if (segment.kind == Kind::rest && end != std::string_view::npos) {
      problem = "has \"" + std::string(text) + "\", which can only be the last segment";
      return std::nullopt;
    }
    if (segment.kind != Kind::literal) {
      const std::string_view name = text.substr(1, segment.text.size());
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        problem = "has the parameter \"" + segment.text + "\" twice";
        return std::nullopt;
      }
      names.push_back(name);
    }
    pattern.segments.push_back(std::move(segment));
    at = end;
  }
  if (names.size() > kMaxParameters) {
    problem = "has " + std::to_string(names.size()) + " parameters, expected at most " + std::to_string(kMaxParameters);
    return std::nullopt;
  }
  return pattern;
}

MethodSet method_set(std::string_view method) {
  const auto at = std::find(kMethods.begin(), kMethods.end(), method);
  return at == kMethods.end() ? MethodSet{0} : static_cast<MethodSet>(1U << (at - kMethods.begin()));
}

std::string allow_header(MethodSet allowed) {
  std::string list;
  for (std::size_t i = 0; i < kMethods.size(); ++i) {
    if ((allowed >> i & 1U) != 0) list.append(kMethods[i]).append(", ");
  }
  return list + "OPTIONS";
}

Router::Router(std::span<const Route> routes) : nodes_(1) {
  for (std::size_t i = 0; i < routes.size(); ++i) add(routes[i], i);
}

void Router::add(const Route& route, std::size_t endpoint) {
  std::size_t at = 0;
  bool is_rest = false;
  for (const Pattern::Segment& segment : route.pattern.segments) {
    if (segment.kind == Pattern::Kind::rest) {
      is_rest = true;
      break;
    }
    std::size_t next = nodes_[at].parameter;
    if (segment.kind == Pattern::Kind::literal) {
      auto& literals = nodes_[at].literals;
      const auto child =
          std::lower_bound(literals.begin(), literals.end(), segment.text,
                           [](const auto& entry, const std::string& text) { return entry.first < text; });
      next = nodes_.size();
      if (child != literals.end() && child->first == segment.text) {
        next = child->second;
      } else {
        literals.insert(child, {segment.text, next});
      }
    } else if (next == 0) {
      next = nodes_[at].parameter = nodes_.size();
    }
    if (next == nodes_.size()) nodes_.emplace_back();
    at = next;
  }
  MethodSet methods = 0;
  for (const std::string& method : route.methods) methods |= method_set(method);
  if ((methods & method_set("GET")) != 0) methods |= method_set("HEAD");
  auto& ends = is_rest ? nodes_[at].rests : nodes_[at].ends;
  for (const End& end : ends) {
    const auto both = static_cast<MethodSet>(end.methods & methods);
    if (both != 0) conflicts_.push_back({end.endpoint, endpoint, both});
  }
  ends.push_back({methods, endpoint});
}

RouteMatch Router::find(std::string_view method, std::string_view path) const {
  RouteMatch match;
  if (!path.starts_with('/')) return match;
  if (find_from(nodes_.front(), path, method_set(method), match)) {
    match.status = RouteMatch::Status::found;
  } else if (match.allowed != 0) {
    match.status = RouteMatch::Status::no_method;
  }
  return match;
}

// `path` is what is left, beginning with its '/', or empty. A node is visited at most once in a look-up, and the depth
// of the recursion is that of the tree, not of the path.
bool Router::find_from(const Node& node, std::string_view path, MethodSet method, RouteMatch& match) const {
  if (path.empty()) return take_end(node.ends, method, match);
  const std::size_t end = std::min(path.find('/', 1), path.size());
  const std::string_view segment = path.substr(1, end - 1);
  const std::string_view left = path.substr(end);

  std::array<char, kMaxLiteral> decoded;
  std::string_view text = segment;
  bool is_longer_than_literals = false;
  if (segment.find('%') != std::string_view::npos) {
    std::size_t size = 0;
    while (!text.empty() && size < decoded.size()) decoded[size++] = take_decoded(text);
    is_longer_than_literals = !text.empty();
    text = std::string_view(decoded.data(), size);
  }
  if (!is_longer_than_literals) {
    const auto child =
        std::lower_bound(node.literals.begin(), node.literals.end(), text,
                         [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    if (child != node.literals.end() && child->first == text && find_from(nodes_[child->second], left, method, match)) {
      return true;
    }
  }
  if (node.parameter != 0 && !segment.empty()) {
    const std::size_t count = match.count;
    match.values[match.count++] = segment;
    if (find_from(nodes_[node.parameter], left, method, match)) return true;
    match.count = count;
  }
  if (!take_end(node.rests, method, match)) return false;
  match.values[match.count++] = path.substr(1);
  return true;
}

bool Router::take_end(const std::vector<End>& ends, MethodSet method, RouteMatch& match) {
  for (const End& end : ends) {
    if ((end.methods & method) != 0) {
      match.endpoint = end.endpoint;
      return true;
    }
    match.allowed |= end.methods;
  }
  return false;
}

}  // namespace sluice::gateway
