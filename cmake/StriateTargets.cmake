# Compile settings for our own code, and the functions that declare a room, its tests and the library of all rooms.

configure_file("${CMAKE_CURRENT_LIST_DIR}/version.h.in" "${PROJECT_BINARY_DIR}/generated/striate/version.h" @ONLY)
set(STRIATE_INCLUDE_DIRS "${PROJECT_SOURCE_DIR}/src" "${PROJECT_BINARY_DIR}/generated")

add_library(striate_options INTERFACE)
target_compile_options(striate_options INTERFACE -Wall -Wextra)
# The same objects go into programs and into the shared library, and one precompiled header serves them all: everything
# is position-independent, and as fast as if it were not.
target_compile_options(striate_options INTERFACE -fPIC -fno-semantic-interposition)
if(STRIATE_WERROR)
  target_compile_options(striate_options INTERFACE -Werror)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC takes every file that a unity source includes for a header, in which a type of an anonymous namespace would be a
  # mistake.
  target_compile_options(striate_options INTERFACE -Wno-subobject-linkage)
endif()
target_include_directories(striate_options INTERFACE ${STRIATE_INCLUDE_DIRS})
if(STRIATE_SANITIZE)
  target_compile_options(striate_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                                                   -fno-omit-frame-pointer)
  target_link_options(striate_options INTERFACE -fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes the inside of std::regex for uninitialised under the sanitizers (GCC bug 105562).
    target_compile_options(striate_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
if(STRIATE_FUZZ)
  target_compile_options(striate_options INTERFACE -fsanitize=fuzzer-no-link)  # libFuzzer sees which branches are taken
endif()

# striate_room(<name> [TORCH] [DEPENDS <rooms or libraries>...] [INSIDE <libraries>...])
# A static library striate_<name> of every source in the current folder. TORCH rooms see LibTorch through the shared
# precompiled header; the others never see it. INSIDE: libraries that the sources use and the headers do not show.
function(striate_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "DEPENDS;INSIDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_library(striate_${name} STATIC ${sources})
  target_link_libraries(striate_${name} PRIVATE striate_options ${ROOM_INSIDE})
  target_include_directories(striate_${name} PUBLIC ${STRIATE_INCLUDE_DIRS})
  target_link_libraries(striate_${name} PUBLIC ${ROOM_DEPENDS})
  if(ROOM_TORCH)
    target_link_libraries(striate_${name} PUBLIC LibTorch::LibTorch)
    target_precompile_headers(striate_${name} REUSE_FROM striate_torch_pch)
  endif()
  striate_library_part(striate_${name} INSIDE ${ROOM_INSIDE})
endfunction()

# striate_library_part(<target> [INSIDE <libraries>...])
# The target's objects become part of libstriate (striate_library()), which links the libraries that they use inside.
function(striate_library_part target)
  cmake_parse_arguments(PART "" "" "INSIDE" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY STRIATE_LIBRARY_PARTS ${target})
  set_property(GLOBAL APPEND PROPERTY STRIATE_LIBRARY_INSIDE ${PART_INSIDE})
endfunction()

# striate_library()
# libstriate: the objects of every room in one library, for programs outside this repository; striate::striate is its
# name there. Shared, unless BUILD_SHARED_LIBS says otherwise: its users then need LibTorch and nlohmann/json alone.
function(striate_library)
  get_property(parts GLOBAL PROPERTY STRIATE_LIBRARY_PARTS)
  get_property(inside GLOBAL PROPERTY STRIATE_LIBRARY_INSIDE)
  list(REMOVE_DUPLICATES inside)
  list(TRANSFORM parts REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  set(kind SHARED)
  if(DEFINED BUILD_SHARED_LIBS)
    set(kind "")
  endif()
  add_library(striate_library ${kind} ${objects})
  add_library(striate::striate ALIAS striate_library)
  set_target_properties(
    striate_library
    PROPERTIES OUTPUT_NAME striate
               EXPORT_NAME striate
               LINKER_LANGUAGE CXX
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set(include_dirs ${STRIATE_INCLUDE_DIRS})
  list(TRANSFORM include_dirs REPLACE "(.+)" "$<BUILD_INTERFACE:\\1>")
  target_include_directories(striate_library PUBLIC ${include_dirs} $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(striate_library PUBLIC cxx_std_20)
  target_link_libraries(striate_library PUBLIC LibTorch::LibTorch nlohmann_json::nlohmann_json PRIVATE ${inside})
  get_target_property(type striate_library TYPE)
  if(type STREQUAL "SHARED_LIBRARY")
    # A call from room to room goes straight there, as it does in the program.
    target_link_options(striate_library PRIVATE LINKER:-Bsymbolic-functions)
    if(STRIATE_SANITIZE)
      target_link_options(striate_library PRIVATE -fsanitize=address,undefined)
    endif()
  endif()
endfunction()

# striate_compile_as_test(<target>)
# Tests call what they test, which is optimised fully; their own code runs once. -O1 compiles it in 57% of the time of -O3
# (tests/files, GCC 12), and a release build spends half its time on tests. -O0 would need a second precompiled header.
function(striate_compile_as_test target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# striate_test(<name> [TORCH] [QUICK] [ON_DEVICE <patterns>...] [DEPENDS <rooms or libraries>...])
# test_<name>, of every *_test.cpp in the current folder, registered with CTest one case at a time, with the label <name>;
# <name>.quick where it is QUICK: `ctest -L quick` runs all of those in a minute. What the patterns of ON_DEVICE name needs a
# device: striate_device_test() runs it, and running it here as well would only take time.
function(striate_test name)
  cmake_parse_arguments(TEST "TORCH;QUICK" "" "ON_DEVICE;DEPENDS" ${ARGN})
  set(label ${name})
  if(TEST_QUICK)
    string(APPEND label .quick)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  striate_compile_as_test(test_${name})
  target_link_libraries(test_${name} PRIVATE striate_options striate_test_support ${TEST_DEPENDS} GTest::gtest_main
                                             GTest::gmock)
  if(TEST_TORCH)
    target_precompile_headers(test_${name} REUSE_FROM striate_torch_pch)
  endif()
  list(JOIN TEST_ON_DEVICE ":" on_device)
  if(on_device)
    set(on_device TEST_FILTER "-${on_device}")
  endif()
  # A parameterised test is called by the name that its suite gives it, not by the bytes of its parameter.
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." NO_PRETTY_VALUES ${on_device} DISCOVERY_MODE PRE_TEST
                       PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive LABELS ${label})
endfunction()

# striate_device_test(<target> [ONLY <patterns>...] [LEAVE_OUT <patterns>...])
# <target>'s tests once more on the pretend device, or on the device that STRIATE_TEST_DEVICE names, with the label
# `device`: all in one process, since a process takes a while to begin. The patterns are GoogleTest's; tests that compute
# nothing on a device are left out. The target device_tests builds all of these programs.
function(striate_device_test target)
  cmake_parse_arguments(TEST "" "" "ONLY;LEAVE_OUT" ${ARGN})
  list(JOIN TEST_ONLY ":" only)
  list(JOIN TEST_LEAVE_OUT ":" left_out)
  add_test(NAME "device.${target}" COMMAND sh "${PROJECT_SOURCE_DIR}/tests/support/on_device.sh" $<TARGET_FILE:${target}>
                                           "--gtest_filter=${only}-${left_out}")
  if(NOT TARGET device_tests)
    add_custom_target(device_tests)
  endif()
  add_dependencies(device_tests ${target})
  # One of them is the longest test of all, so they begin first: the others fill the cores beside it.
  set_tests_properties("device.${target}" PROPERTIES LABELS device ENVIRONMENT OMP_WAIT_POLICY=passive COST 1000)
endfunction()
