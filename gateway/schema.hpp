// The configuration's JSON Schema and its reference page, both made from the table of keys that the checks use.
#pragma once

#include <string>

namespace sluice::gateway {

/// The JSON Schema (draft 2020-12) of a configuration file. It does not know the rules between values.
std::string schema_json();

/// docs/configuration.md.
std::string schema_markdown();

}  // namespace sluice::gateway
