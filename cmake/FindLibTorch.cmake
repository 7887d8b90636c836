# Finds LibTorch as it lies inside the PyTorch wheel and defines LibTorch::LibTorch.
#
# The wheel's own find_package(Torch) insists on a CUDA toolkit when the wheel was built with CUDA; the libraries do
# not need one, so they are imported here directly. Where they are looked for: LocateLibTorch.cmake.
#
# Result: LibTorch_FOUND, LibTorch_DIR, LibTorch_VERSION, LibTorch_CUDA (whether it is a CUDA build).

set(STRIATE_TORCH "$ENV{STRIATE_TORCH}" CACHE PATH "A PyTorch: its torch folder, or the environment that holds it")

include(LocateLibTorch)
locate_libtorch(_libtorch "${CMAKE_CURRENT_LIST_DIR}/..")
if(_libtorch)
  set(LibTorch_DIR "${_libtorch}")
  set(LibTorch_VERSION "${_libtorch_VERSION}")
  set(LibTorch_CUDA FALSE)
  if(_libtorch_CUDA STREQUAL "CUDA")
    set(LibTorch_CUDA TRUE)
  endif()
else()
  set(LibTorch_DIR "LibTorch_DIR-NOTFOUND")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE
    "${_libtorch_REASON}.\nRun 'make setup', or set STRIATE_TORCH to a PyTorch ${LIBTORCH_MIN_VERSION} to ${LIBTORCH_MAX_VERSION}."
)

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  set(_libtorch_libs "")
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
    # cuBLAS, cuDNN and the others come as packages of their own beside torch. The libraries find them by themselves
    # when the program runs; the linker, which follows what they need, is told where they are.
    get_filename_component(_site_packages "${LibTorch_DIR}/.." ABSOLUTE)
    file(GLOB _nvidia_libs "${_site_packages}/nvidia/*/lib")
    foreach(_dir IN LISTS _nvidia_libs)
      set_property(TARGET LibTorch::LibTorch APPEND PROPERTY INTERFACE_LINK_OPTIONS "LINKER:-rpath-link,${_dir}")
    endforeach()
  endif()
endif()
