// Interning of series, the blocks of slots, and the text of a scrape.
#include "gateway/metrics.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace sluice::gateway {
namespace {

// Of the first chunk. The cells beside a chunk stay unused, so that no two blocks count in one cache line.
constexpr std::size_t kFirstChunkCells = 1024;
constexpr std::size_t kCacheLineCells = 8;

std::uint64_t new_identity() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

prometheus::MetricType exported(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return prometheus::MetricType::Counter;
    case MetricType::gauge:
      return prometheus::MetricType::Gauge;
    case MetricType::histogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

}  // namespace

struct Metrics::Series {
  std::vector<std::string> labels;  // values
  CellIndex cell;
};

struct Metrics::Family {
  const MetricFamily* description;

  // Sorted by label values; the series never move.
  struct ByLabels {
    using is_transparent = void;
    bool operator()(const Series& a, const Series& b) const { return a.labels < b.labels; }
    bool operator()(const Series& a, const std::vector<std::string>& b) const { return a.labels < b; }
    bool operator()(const std::vector<std::string>& a, const Series& b) const { return a < b.labels; }
  };
  std::set<Series, ByLabels> series{};
};

Metrics::Metrics() : identity_(new_identity()) {}
Metrics::~Metrics() = default;

void Metrics::enter(std::size_t worker) {
  const std::lock_guard lock(mutex_);
  while (workers_.size() <= worker) {
    auto block = std::make_unique<Block>();
    for (std::size_t chunk = 0; chunk < chunk_count_; ++chunk) block->chunks[chunk] = new_chunk(chunk);
    workers_.push_back(std::move(block));
  }
  current_ = {identity_, workers_[worker].get()};
}

Counter Metrics::counter(const MetricFamily& family, std::vector<std::string> labels) {
  return Counter(*this, intern(family, std::move(labels)));
}

Gauge Metrics::gauge(const MetricFamily& family, std::vector<std::string> labels) {
  return Gauge(*this, intern(family, std::move(labels)));
}

Histogram Metrics::histogram(const MetricFamily& family, std::vector<std::string> labels) {
  return Histogram(*this, intern(family, std::move(labels)), family.buckets);
}

std::unique_ptr<Metrics::Cell[]> Metrics::new_chunk(std::size_t chunk) {
  return std::make_unique<Cell[]>((kFirstChunkCells << chunk) + kCacheLineCells);
}

Metrics::CellIndex Metrics::intern(const MetricFamily& family, std::vector<std::string> labels) {
  if (labels.size() != family.labels.size()) throw std::logic_error("label values do not match the metric's labels");
  const std::lock_guard lock(mutex_);
  auto found =
      std::lower_bound(families_.begin(), families_.end(), family.name,
                       [](const auto& known, std::string_view name) { return known->description->name < name; });
  if (found == families_.end() || (*found)->description->name != family.name) {
    found = families_.insert(found, std::make_unique<Family>(Family{&family, {}}));
  } else if ((*found)->description != &family) {
    throw std::logic_error("two metrics have one name");
  }
  auto& series = (*found)->series;
  const auto place = series.lower_bound(labels);
  if (place != series.end() && place->labels == labels) return place->cell;
  const CellIndex cell = allocate(family.type == MetricType::histogram ? family.buckets.size() + 2 : 1);
  series.insert(place, Series{std::move(labels), cell});
  return cell;
}

// Never returns 0. A chunk's rest that is too small for a histogram stays unused.
Metrics::CellIndex Metrics::allocate(std::size_t count) {
  while (chunk_count_ == 0 || next_offset_ + count > kFirstChunkCells << (chunk_count_ - 1)) {
    if (chunk_count_ == kChunks) throw std::length_error("too many metrics");
    shared_.chunks[chunk_count_] = new_chunk(chunk_count_);
    for (auto& block : workers_) block->chunks[chunk_count_] = new_chunk(chunk_count_);
    ++chunk_count_;
    next_offset_ = kCacheLineCells;
  }
  const auto chunk = static_cast<CellIndex>(chunk_count_ - 1);
  const auto cell = (chunk << kOffsetBits) | static_cast<CellIndex>(next_offset_);
  next_offset_ += count;
  return cell;
}

namespace {

double gauge_value(std::int64_t value) {
  return value == Gauge::kInfinite ? std::numeric_limits<double>::infinity() : static_cast<double>(value);
}

}  // namespace

std::string Metrics::text() const {
  // Series and blocks never move and go, so the lock is held only while pointers to them are copied.
  std::vector<std::pair<const MetricFamily*, std::vector<const Series*>>> families;
  std::vector<const Block*> blocks = {&shared_};
  {
    const std::lock_guard lock(mutex_);
    for (const auto& block : workers_) blocks.push_back(block.get());
    for (const auto& family : families_) {
      auto& series = families.emplace_back(family->description, std::vector<const Series*>()).second;
      series.reserve(family->series.size());
      for (const auto& one : family->series) series.push_back(&one);
    }
  }
  const auto sum = [&](CellIndex cell) {
    std::uint64_t total = 0;
    for (const Block* block : blocks) total += block->cell(cell).load(std::memory_order_relaxed);
    return total;
  };

  std::vector<prometheus::MetricFamily> exports;
  for (const auto& [description, all_series] : families) {
    auto& family = exports.emplace_back();
    family.name = description->name;
    family.help = description->help;
    family.type = exported(description->type);
    for (const Series* series : all_series) {
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      for (std::size_t i = 0; i < series->labels.size(); ++i) {
        metric.label.push_back({std::string(description->labels[i]), series->labels[i]});
      }
      switch (description->type) {
        case MetricType::counter:
          metric.counter.value = static_cast<double>(sum(series->cell));
          break;
        case MetricType::gauge:
          metric.gauge.value = gauge_value(static_cast<std::int64_t>(sum(series->cell)));
          break;
        case MetricType::histogram: {
          const auto bounds = description->buckets;
          std::uint64_t count = 0;
          for (std::size_t i = 0; i <= bounds.size(); ++i) {
            count += sum(series->cell + 1 + static_cast<CellIndex>(i));
            metric.histogram.bucket.push_back({count, i < bounds.size()
                                                          ? static_cast<double>(bounds[i]) / description->ticks_per_unit
                                                          : std::numeric_limits<double>::infinity()});
          }
          metric.histogram.sample_count = count;
          metric.histogram.sample_sum = static_cast<double>(sum(series->cell)) / description->ticks_per_unit;
          break;
        }
      }
    }
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, exports);
  return std::move(out).str();
}

CounterTable::CounterTable(Metrics& metrics, const MetricFamily& family, std::size_t size, Labels labels)
    : metrics_(metrics),
      family_(family),
      labels_(std::move(labels)),
      cells_(std::make_unique<std::atomic<Metrics::CellIndex>[]>(size)) {}

Metrics::CellIndex CounterTable::make_cell(std::size_t index) {
  const Metrics::CellIndex cell = metrics_.intern(family_, labels_(index));
  cells_[index].store(cell, std::memory_order_release);
  return cell;
}

}  // namespace sluice::gateway
