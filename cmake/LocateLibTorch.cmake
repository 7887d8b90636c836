# Where LibTorch lies: the one place that knows the order of the search and the versions we build against.
#
# Included by FindLibTorch.cmake, and run by scripts/setup.sh to learn whether anything must be installed:
#   cmake [-DSTRIATE_TORCH=PATH] -P cmake/LocateLibTorch.cmake
# prints found|DIR|VERSION|CPU (or CUDA), absent|WHY, or refused|WHY where the user named what cannot be used.
#
# The order: STRIATE_TORCH (the torch folder, its site-packages, a virtual environment or an unpacked LibTorch archive),
# CMAKE_PREFIX_PATH, the active Python environment, and .deps/torch made by scripts/setup.sh. What a user names must be
# of a version we know; a PyTorch that merely happens to be installed is passed over when it is not.

cmake_policy(SET CMP0057 NEW)  # if(... IN_LIST ...), also when run as a script

set(LIBTORCH_MIN_VERSION 2.11)
set(LIBTORCH_MAX_VERSION 2.14)

# The folders under `root` that could be a torch folder.
function(_libtorch_candidates out root)
  file(GLOB found "${root}" "${root}/torch" "${root}/libtorch" "${root}/lib/python3*/site-packages/torch"
       "${root}/lib/python3*/dist-packages/torch")
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# The version of the headers in `dir`: a string ("2.13.0"), or the three numbers it is made of.
function(_libtorch_version out dir)
  set(${out} "" PARENT_SCOPE)
  foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(NOT EXISTS "${dir}/include/${header}")
      continue()
    endif()
    file(STRINGS "${dir}/include/${header}" lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    set(numbers "")
    foreach(part MAJOR MINOR PATCH)
      if("${lines}" MATCHES "TORCH_VERSION_${part} +([0-9]+)")
        list(APPEND numbers "${CMAKE_MATCH_1}")
      endif()
    endforeach()
    list(LENGTH numbers count)
    if(count EQUAL 3)
      list(JOIN numbers "." version)
      set(${out} "${version}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# Sets `out` to the torch folder ("" where there is none), and beside it out_VERSION and out_CUDA (CPU or CUDA), or
# out_REASON (why there is none) and out_NAMED (whether the user named it).
function(locate_libtorch out source_dir)
  set(named "")
  set(found_by_chance "")
  if(STRIATE_TORCH)
    _libtorch_candidates(named "${STRIATE_TORCH}")
    set(name "STRIATE_TORCH")
    set(${out}_NAMED TRUE PARENT_SCOPE)
  else()
    set(prefixes ${CMAKE_PREFIX_PATH})
    if(DEFINED ENV{CMAKE_PREFIX_PATH})
      string(REPLACE ":" ";" from_environment "$ENV{CMAKE_PREFIX_PATH}")
      list(APPEND prefixes ${from_environment})
    endif()
    foreach(prefix IN LISTS prefixes)
      _libtorch_candidates(found "${prefix}")
      list(APPEND named ${found})
    endforeach()
    set(name "CMAKE_PREFIX_PATH")
    execute_process(
      COMMAND python3 -c
              "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND found_by_chance ${found})
    if(EXISTS "${source_dir}/.deps/torch/complete")  # written last: without it the installation was interrupted
      _libtorch_candidates(found "${source_dir}/.deps/torch")
      list(APPEND found_by_chance ${found})
    endif()
  endif()

  set(${out} "" PARENT_SCOPE)
  set(${out}_REASON "" PARENT_SCOPE)
  set(reason "no PyTorch found")
  if(STRIATE_TORCH)
    set(reason "STRIATE_TORCH names ${STRIATE_TORCH}, where there is no PyTorch")
  endif()
  foreach(dir IN LISTS named found_by_chance)
    if(NOT EXISTS "${dir}/include/ATen/core/Tensor.h" OR NOT EXISTS "${dir}/lib/libtorch_cpu.so")
      continue()
    endif()
    _libtorch_version(version "${dir}")
    string(REGEX MATCH "^[0-9]+\\.[0-9]+" series "${version}")
    if(NOT series
       OR series VERSION_LESS LIBTORCH_MIN_VERSION
       OR series VERSION_GREATER LIBTORCH_MAX_VERSION)
      set(reason "PyTorch ${version} in ${dir}: Striate needs ${LIBTORCH_MIN_VERSION} to ${LIBTORCH_MAX_VERSION}")
      if(dir IN_LIST named)
        string(PREPEND reason "${name} names ")
        set(${out}_NAMED TRUE PARENT_SCOPE)
        break()
      endif()
      continue()
    endif()
    set(${out} "${dir}" PARENT_SCOPE)
    set(${out}_VERSION "${version}" PARENT_SCOPE)
    set(${out}_CUDA "CPU" PARENT_SCOPE)
    if(EXISTS "${dir}/lib/libtorch_cuda.so")
      set(${out}_CUDA "CUDA" PARENT_SCOPE)
    endif()
    return()
  endforeach()
  set(${out}_REASON "${reason}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  get_filename_component(source_dir "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
  locate_libtorch(libtorch "${source_dir}")
  if(libtorch)
    set(answer "found|${libtorch}|${libtorch_VERSION}|${libtorch_CUDA}")
  elseif(libtorch_NAMED)
    set(answer "refused|${libtorch_REASON}")
  else()
    set(answer "absent|${libtorch_REASON}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${answer}")
endif()
