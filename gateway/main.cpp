// The program `sluice`.
#include "gateway/command_line.hpp"

#include <exception>
#include <fcntl.h>
#include <iostream>
#include <unistd.h>

int main(int argc, char** argv) {
  // Whoever starts us without standard streams must not find sockets of ours in their place.
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd >= 0) close(fd);
  try {
    return sluice::gateway::run_command({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "sluice: " << e.what() << '\n';
    return 1;
  }
}
