// Compiles Asio's non-template part once for the whole program.
#include <boost/asio/impl/src.hpp>
