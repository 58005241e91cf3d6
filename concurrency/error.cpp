#include "concurrency/error.hpp"

#include <string>

namespace sluice::concurrency {
namespace {

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "sluice.concurrency"; }
  std::string message(int value) const override {
    switch (static_cast<Error>(value)) {
      case Error::canceled:
        return "context canceled";
      case Error::deadline_exceeded:
        return "context deadline exceeded";
      case Error::closed:
        return "channel closed";
    }
    return "unknown error " + std::to_string(value);
  }
  boost::system::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Error>(value)) {
      case Error::canceled:
        return make_error_condition(boost::system::errc::operation_canceled);
      case Error::deadline_exceeded:
        return make_error_condition(boost::system::errc::timed_out);
      case Error::closed:
        break;
    }
    return {value, *this};
  }
};

}  // namespace

const boost::system::error_category& error_category() {
  static const Category category;
  return category;
}

}  // namespace sluice::concurrency
