// Counters, gauges and histograms counted per worker and summed when scraped.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::gateway {

class Counter;
class CounterTable;
class Gauge;
class Histogram;

enum class MetricType { counter, gauge, histogram };

/// Describes all series of one name. What its members view must outlive the Metrics: make it a constant.
///
/// A histogram counts integers, exported divided by `ticks_per_unit`: 1e6 for microseconds exported as seconds.
struct MetricFamily {
  std::string_view name;
  std::string_view help;
  MetricType type;
  std::span<const std::string_view> labels;     // names, in the order of the values of a series
  std::span<const std::uint64_t> buckets = {};  // histogram: upper bounds in ticks, inclusive, ascending
  double ticks_per_unit = 1;                    // histogram
};

/// Holds every series of the program and writes them as Prometheus text.
///
/// A worker counts into slots of its own (a load and a store, neither contended nor atomic as a pair); any other thread
/// adds to slots which such threads share. Series are interned by family and label values: asking again, as each
/// reload does, gives the same series, so a counter never goes backwards. A series is never removed.
///
/// Must outlive all its handles. Thread: any.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Makes the calling thread worker number `worker` until it ends or enters elsewhere.
  /// Only one thread at a time may be a given worker.
  void enter(std::size_t worker);

  /// The series of `family` with these label values, at zero if it is new. Locks and may allocate: keep the handle.
  Counter counter(const MetricFamily& family, std::vector<std::string> labels);
  Gauge gauge(const MetricFamily& family, std::vector<std::string> labels);
  Histogram histogram(const MetricFamily& family, std::vector<std::string> labels);

  /// All series as Prometheus text, format 0.0.4.
  /// Families are sorted by name, series by label values. A histogram is consistent in itself: its count is the sum
  /// of its buckets. Workers are not held up.
  [[nodiscard]] std::string text() const;

 private:
  friend class Counter;
  friend class CounterTable;
  friend class Gauge;
  friend class Histogram;

  using Cell = std::atomic<std::uint64_t>;
  struct Family;
  struct Series;

  // Where a cell is in every block: chunk number in the high bits, offset in the low. A chunk is twice as large as the
  // one before and never moves, and it exists in all blocks before the first handle to a cell in it does.
  using CellIndex = std::uint32_t;
  static constexpr unsigned kOffsetBits = 27;
  static constexpr std::size_t kChunks = 18;

  struct Block {
    Cell& cell(CellIndex index) const {
      return chunks[index >> kOffsetBits][index & ((CellIndex{1} << kOffsetBits) - 1)];
    }

    std::array<std::unique_ptr<Cell[]>, kChunks> chunks;
  };

  // The block of the thread that reads this. `owner` is an identity that is never used again, unlike an address.
  struct Current {
    std::uint64_t owner;
    Block* block;
  };
  static inline constinit thread_local Current current_ = {0, nullptr};

  void add(CellIndex index, std::uint64_t delta) {
    if (current_.owner == identity_) {
      Cell& cell = current_.block->cell(index);
      cell.store(cell.load(std::memory_order_relaxed) + delta, std::memory_order_relaxed);
    } else {
      shared_.cell(index).fetch_add(delta, std::memory_order_relaxed);
    }
  }

  CellIndex intern(const MetricFamily& family, std::vector<std::string> labels);
  CellIndex allocate(std::size_t count);
  static std::unique_ptr<Cell[]> new_chunk(std::size_t chunk);

  const std::uint64_t identity_;
  Block shared_;  // of all threads that are not workers

  mutable std::mutex mutex_;  // guards what follows, and making chunks
  std::vector<std::unique_ptr<Block>> workers_;
  std::vector<std::unique_ptr<Family>> families_;  // sorted by name
  std::size_t chunk_count_ = 0;
  std::size_t next_offset_ = 0;  // in the last chunk
};

/// A number that only grows. Thread: any.
class Counter {
 public:
  void add(std::uint64_t delta = 1) const noexcept { metrics_->add(cell_, delta); }

 private:
  friend class Metrics;
  Counter(Metrics& metrics, Metrics::CellIndex cell) : metrics_(&metrics), cell_(cell) {}

  Metrics* metrics_;
  Metrics::CellIndex cell_;
};

/// Counters of one family, each made when it is first counted, so that only those which occurred are exported.
/// Thread: any.
class CounterTable {
 public:
  /// Label values of counter number `index`. Thread: called on the one that counts first.
  using Labels = std::function<std::vector<std::string>(std::size_t index)>;

  CounterTable(Metrics& metrics, const MetricFamily& family, std::size_t size, Labels labels);

  /// Makes counter number `index` if it does not exist, at zero: locks and may allocate.
  void make(std::size_t index) { (void)make_cell(index); }

  void add(std::size_t index) {
    Metrics::CellIndex cell = cells_[index].load(std::memory_order_acquire);
    if (cell == 0) cell = make_cell(index);
    metrics_.add(cell, 1);
  }

 private:
  Metrics::CellIndex make_cell(std::size_t index);

  Metrics& metrics_;
  const MetricFamily& family_;
  const Labels labels_;
  const std::unique_ptr<std::atomic<Metrics::CellIndex>[]> cells_;  // 0: not made yet
};

/// A number that goes up and down. It is either added to or set, never both. Thread: any.
class Gauge {
 public:
  class Hold;

  static constexpr std::int64_t kInfinite = std::numeric_limits<std::int64_t>::max();  // exported as +Inf

  void add(std::int64_t delta) const noexcept { metrics_->add(cell_, static_cast<std::uint64_t>(delta)); }
  void set(std::int64_t value) const noexcept {
    metrics_->shared_.cell(cell_).store(static_cast<std::uint64_t>(value), std::memory_order_relaxed);
  }
  [[nodiscard]] Hold hold() const;

 private:
  friend class Metrics;
  Gauge(Metrics& metrics, Metrics::CellIndex cell) : metrics_(&metrics), cell_(cell) {}

  Metrics* metrics_;
  Metrics::CellIndex cell_;
};

/// Adds 1 to a gauge for as long as it lives. Thread: any; it may end on another than it began.
class Gauge::Hold {
 public:
  explicit Hold(Gauge gauge) : gauge_(gauge) { gauge_.add(1); }
  Hold(Hold&& other) noexcept : gauge_(other.gauge_), is_held_(std::exchange(other.is_held_, false)) {}
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (is_held_) gauge_.add(-1);
  }

 private:
  const Gauge gauge_;
  bool is_held_ = true;
};

inline Gauge::Hold Gauge::hold() const {
  return Hold(*this);
}

/// Counts of observed values by size. Thread: any.
class Histogram {
 public:
  /// `ticks`: the value in the family's ticks.
  void observe(std::uint64_t ticks) const noexcept {
    Metrics::CellIndex bucket = 0;
    while (bucket < bounds_.size() && bounds_[bucket] < ticks) ++bucket;
    metrics_->add(cell_, ticks);
    metrics_->add(cell_ + 1 + bucket, 1);
  }

 private:
  friend class Metrics;
  Histogram(Metrics& metrics, Metrics::CellIndex cell, std::span<const std::uint64_t> bounds)
      : metrics_(&metrics), cell_(cell), bounds_(bounds) {}

  Metrics* metrics_;
  Metrics::CellIndex cell_;  // the sum of the ticks, then one cell a bucket, the last without a bound
  std::span<const std::uint64_t> bounds_;
};

}  // namespace sluice::gateway
