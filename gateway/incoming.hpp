// A client's request, as its calls see it.
#pragma once

#include "concurrency/detail/recycled.hpp"
#include "gateway/deployment.hpp"
#include "gateway/forwarding.hpp"
#include "gateway/request_parser.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sluice::gateway {

/// Lives until the reply is written. *one worker*
struct Incoming {
  Incoming(const RequestParser& p, std::shared_ptr<const Deployment> d) : parser(p), deployment(std::move(d)) {}

  const RequestParser& parser;
  const std::shared_ptr<const Deployment> deployment;
  std::span<const std::string_view> parameters;  // of the path
  std::shared_ptr<const std::string> body;       // null: none
  concurrency::detail::RecycledString request_id;
  concurrency::detail::RecycledString traceparent;
  std::string tracestate;
  std::shared_ptr<const Forwarding> forwarding;  // null: no endpoint has been found
  // request_id to forwarding, for the calls that send all of them
  std::shared_ptr<const concurrency::detail::RecycledString> common_lines;
  std::size_t identity_size = 0;           // of the first two in these, which the reply has, too
  const EndpointPlan* endpoint = nullptr;  // null: none has this path and method
  const Cors* cors = nullptr;              // what is said to pages of other origins; null: nothing
  bool is_shed = false;  // it is answered from what is at hand, as there is more to do than can be done
};

}  // namespace sluice::gateway
