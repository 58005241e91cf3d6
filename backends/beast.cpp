// Compiles Beast's non-template part once for the whole program.
#include <boost/beast/src.hpp>
