// What names, addresses and headers in the configuration must look like.
#pragma once

#include "gateway/config.hpp"
#include "gateway/config_keys.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sluice::gateway {

extern const TextRule kAnyText, kName, kBackendName, kHeaderName, kHeaderValue, kAddress, kServer, kPath, kAuthority,
    kOrigin, kNetwork, kJsonPointer, kMemberPath, kMemberName;

/// "host:port" or "[IPv6]:port".
std::optional<Address> parse_address(std::string_view text);

/// "http://host:port"; the port may be missing (80). Nothing may follow.
std::optional<Address> parse_server(std::string_view text);

/// Letters A to Z in lower case.
std::string lower_case(std::string_view text);

}  // namespace sluice::gateway
