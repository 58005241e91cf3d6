// The file in which the store of degraded data outlives its process.
#pragma once

#include "gateway/stale_record.hpp"
#include "gateway/stale_store.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::gateway {

/// What reading a file came to.
struct StaleFileRead {
  enum class Found {
    nothing,        // no file, or an empty one
    ours,           // perhaps damaged
    other_version,  // ours, but not to be read
    foreign,        // something else: not to be overwritten
    unreadable
  };

  Found found = Found::nothing;
  std::string problem;        // of those not to be read, and of ours that ends with an error
  std::uint64_t entries = 0;  // put into the store
  std::uint64_t expired = 0;  // older than their origin allows
  std::uint64_t lost = 0;     // damaged, cut off, or larger than the store
};

struct StaleFileWritten {
  std::uint64_t entries = 0;
  std::string problem;  // empty: the file is on the disk
};

/// Puts the entries of the file at `path` into `store`, each as old as it was when written and as much older as the
/// wall clock says has passed since; a clock that was set back takes nothing away. What is damaged is left out, the
/// rest is read: only entries whose bytes are those written, and whose bodies still pass their check. Allocates no more
/// than the file is long.
[[nodiscard]] StaleFileRead read_stale_file(const std::filesystem::path& path, StaleStore& store, Moment moment);

/// Replaces the file at `path` by the entries of one version of `store`: written as `path`.tmp, readable by the owner
/// only, brought to the disk and renamed, so that `path` is at any moment the whole file of before or the whole new
/// one. Leaves alone what is not ours. Holds up no user of the store; waits for the disk.
[[nodiscard]] StaleFileWritten write_stale_file(const std::filesystem::path& path, const StaleStore& store,
                                                Moment moment);

}  // namespace sluice::gateway
