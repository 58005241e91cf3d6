#include "concurrency/io.hpp"

#include <boost/asio/post.hpp>

namespace sluice::concurrency::detail {

IoCancel::~IoCancel() {
  unsubscribe();
  if (posted_) *posted_ = nullptr;
  --loop_.waiting_;
}

void IoCancel::notify() noexcept {
  if (Loop::current_or_null() == &loop_) {
    signal_.emit(boost::asio::cancellation_type::all);
    return;
  }
  posted_ = std::make_shared<IoCancel*>(this);
  boost::asio::post(loop_.executor(), [posted = posted_] {
    if (*posted != nullptr) (*posted)->signal_.emit(boost::asio::cancellation_type::all);
  });
}

}  // namespace sluice::concurrency::detail
