# Needs BUILD (a built tree), PLACE (a directory of its own), GENERATOR, COMPILER, LAUNCHER (perhaps empty).
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${PLACE})
run(${CMAKE_COMMAND} --install ${BUILD} --component concurrency --prefix ${PLACE}/prefix)
file(GLOB_RECURSE installed RELATIVE ${PLACE}/prefix ${PLACE}/prefix/*)
foreach(file ${installed})
  if(NOT file MATCHES "^include/sluice/concurrency/.*[.]hpp$|/libsluice_concurrency[.]a$|/sluice-concurrency-[a-z-]*[.]cmake$")
    message(FATAL_ERROR "installed beside the library: ${file}")
  endif()
endforeach()

file(COPY ${CMAKE_CURRENT_LIST_DIR}/consumer DESTINATION ${PLACE})
run(${CMAKE_COMMAND} -S ${PLACE}/consumer -B ${PLACE}/build -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_PREFIX_PATH=${PLACE}/prefix -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
run(${CMAKE_COMMAND} --build ${PLACE}/build)
run(${PLACE}/build/consumer)
