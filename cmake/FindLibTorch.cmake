# Finds LibTorch as it lies inside the PyTorch wheel and defines LibTorch::LibTorch.
#
# The wheel's own find_package(Torch) insists on a CUDA toolkit when the wheel was built with CUDA; the libraries do
# not need one, so they are imported here directly.
#
# Looked for, in this order: STRIATE_TORCH (a cache or environment variable: the torch folder, its site-packages, or a
# virtual environment), CMAKE_PREFIX_PATH, the active Python environment, and .deps/torch made by scripts/setup.sh.
#
# Result: LibTorch_FOUND, LibTorch_DIR, LibTorch_VERSION, LibTorch_CUDA (whether it is a CUDA build).

set(STRIATE_TORCH "$ENV{STRIATE_TORCH}" CACHE PATH "A PyTorch: its torch folder, or the environment that holds it")

function(_libtorch_candidates out root)
  file(GLOB found "${root}" "${root}/torch" "${root}/lib/python3*/site-packages/torch"
       "${root}/lib/python3*/dist-packages/torch")
  set(${out} ${found} PARENT_SCOPE)
endfunction()

set(_libtorch_dirs "")
if(STRIATE_TORCH)
  _libtorch_candidates(_found "${STRIATE_TORCH}")
  list(APPEND _libtorch_dirs ${_found})
else()
  foreach(_prefix IN LISTS CMAKE_PREFIX_PATH)
    _libtorch_candidates(_found "${_prefix}")
    list(APPEND _libtorch_dirs ${_found})
  endforeach()
  execute_process(COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
                  OUTPUT_VARIABLE _found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND _libtorch_dirs ${_found})
  _libtorch_candidates(_found "${CMAKE_SOURCE_DIR}/.deps/torch")
  list(APPEND _libtorch_dirs ${_found})
endif()

set(LibTorch_DIR "LibTorch_DIR-NOTFOUND")
foreach(_dir IN LISTS _libtorch_dirs)
  if(EXISTS "${_dir}/include/ATen/core/Tensor.h" AND EXISTS "${_dir}/lib/libtorch_cpu.so")
    set(LibTorch_DIR "${_dir}")
    break()
  endif()
endforeach()

if(LibTorch_DIR)
  file(STRINGS "${LibTorch_DIR}/include/torch/headeronly/version.h" _lines REGEX "#define TORCH_VERSION ")
  if(NOT _lines)
    file(STRINGS "${LibTorch_DIR}/include/torch/csrc/api/include/torch/version.h" _lines REGEX "#define TORCH_VERSION ")
  endif()
  string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" LibTorch_VERSION "${_lines}")
  if(EXISTS "${LibTorch_DIR}/lib/libtorch_cuda.so")
    set(LibTorch_CUDA TRUE)
  else()
    set(LibTorch_CUDA FALSE)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/setup.sh (or 'make setup'), or set STRIATE_TORCH to a PyTorch 2.11 to 2.14")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  foreach(_lib c10 torch_cpu torch c10_cuda torch_cuda)
    if(EXISTS "${LibTorch_DIR}/lib/lib${_lib}.so")
      add_library(LibTorch::${_lib} SHARED IMPORTED)
      set_target_properties(LibTorch::${_lib} PROPERTIES IMPORTED_LOCATION "${LibTorch_DIR}/lib/lib${_lib}.so")
      list(APPEND _libtorch_libs LibTorch::${_lib})
    endif()
  endforeach()
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  set_target_properties(
    LibTorch::LibTorch
    PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
               "${LibTorch_DIR}/include;${LibTorch_DIR}/include/torch/csrc/api/include"
               INTERFACE_LINK_LIBRARIES "${_libtorch_libs}")
  if(LibTorch_CUDA)
    # libtorch.so itself needs nothing of libtorch_cuda.so: without this the linker drops the CUDA backend.
    set_property(TARGET LibTorch::LibTorch APPEND PROPERTY INTERFACE_LINK_OPTIONS "LINKER:--no-as-needed")
  endif()
endif()
