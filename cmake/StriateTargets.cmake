# Compile settings for our own code, and the two functions that declare a room and its tests.

add_library(striate_options INTERFACE)
target_compile_options(striate_options INTERFACE -Wall -Wextra -Werror)
target_include_directories(striate_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
if(STRIATE_SANITIZE)
  target_compile_options(striate_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                                                   -fno-omit-frame-pointer)
  target_link_options(striate_options INTERFACE -fsanitize=address,undefined)
endif()

# striate_room(<name> [TORCH] [DEPENDS <rooms or libraries>...])
# A static library striate_<name> of every source in the current folder. TORCH rooms see LibTorch through the shared
# precompiled header; the others never see it.
function(striate_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  if(NOT sources)
    add_library(striate_${name} INTERFACE)
    target_link_libraries(striate_${name} INTERFACE ${ROOM_DEPENDS})
    return()
  endif()
  add_library(striate_${name} STATIC ${sources})
  target_link_libraries(striate_${name} PRIVATE striate_options)
  target_include_directories(striate_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(striate_${name} PUBLIC ${ROOM_DEPENDS})
  if(ROOM_TORCH)
    target_link_libraries(striate_${name} PUBLIC LibTorch::LibTorch)
    target_precompile_headers(striate_${name} REUSE_FROM striate_torch_pch)
  endif()
endfunction()

# striate_test(<name> [TORCH] [DEPENDS <rooms or libraries>...])
# test_<name>, of every *_test.cpp in the current folder, registered with CTest one case at a time.
function(striate_test name)
  cmake_parse_arguments(TEST "TORCH" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE striate_options striate_test_support ${TEST_DEPENDS} GTest::gtest_main
                                             GTest::gmock)
  if(TEST_TORCH)
    target_precompile_headers(test_${name} REUSE_FROM striate_torch_pch)
  endif()
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST PROPERTIES ENVIRONMENT
                       OMP_WAIT_POLICY=passive LABELS ${name})
endfunction()
