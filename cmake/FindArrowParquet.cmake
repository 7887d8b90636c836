# Finds Arrow's C++ libraries as they lie inside the pyarrow wheel and defines Arrow::Parquet. Their only users are the
# sources of the room tables.
#
# Where they are looked for, in this order: STRIATE_ARROW (a pyarrow folder, or one with include/ and lib/),
# .deps/arrow made by scripts/setup.sh, and the pyarrow of the active Python environment.
#
# Result: ArrowParquet_FOUND, ArrowParquet_LIBRARY_DIR, ArrowParquet_VERSION.

set(STRIATE_ARROW "$ENV{STRIATE_ARROW}" CACHE PATH "Arrow: a pyarrow folder, or one with include/ and lib/")

set(_arrow_roots "")
if(STRIATE_ARROW)
  list(APPEND _arrow_roots "${STRIATE_ARROW}")
else()
  if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/../.deps/arrow/complete")  # written last
    get_filename_component(_arrow_root "${CMAKE_CURRENT_LIST_DIR}/../.deps/arrow" ABSOLUTE)
    list(APPEND _arrow_roots "${_arrow_root}")
  endif()
  execute_process(
    COMMAND python3 -c
            "import importlib.util as u; s = u.find_spec('pyarrow'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE _arrow_root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND _arrow_roots ${_arrow_root})
endif()

set(ArrowParquet_INCLUDE_DIR "")
set(ArrowParquet_LIBRARY_DIR "")
set(ArrowParquet_VERSION "")
foreach(_arrow_root IN LISTS _arrow_roots)
  set(_arrow_header "${_arrow_root}/include/arrow/util/config.h")
  file(GLOB _arrow_library "${_arrow_root}/libarrow.so.*00" "${_arrow_root}/lib/libarrow.so.*00")
  file(GLOB _parquet_library "${_arrow_root}/libparquet.so.*00" "${_arrow_root}/lib/libparquet.so.*00")
  if(EXISTS "${_arrow_header}" AND _arrow_library AND _parquet_library)
    list(GET _arrow_library 0 _arrow_library)
    list(GET _parquet_library 0 _parquet_library)
    file(STRINGS "${_arrow_header}" ArrowParquet_VERSION REGEX "#define ARROW_VERSION_STRING ")
    string(REGEX REPLACE ".*\"(.*)\".*" "\\1" ArrowParquet_VERSION "${ArrowParquet_VERSION}")
    set(ArrowParquet_INCLUDE_DIR "${_arrow_root}/include")
    get_filename_component(ArrowParquet_LIBRARY_DIR "${_arrow_library}" DIRECTORY)
    break()
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  ArrowParquet
  REQUIRED_VARS ArrowParquet_LIBRARY_DIR ArrowParquet_INCLUDE_DIR
  VERSION_VAR ArrowParquet_VERSION
  REASON_FAILURE_MESSAGE
    "there is no Arrow.\nRun 'make setup', set STRIATE_ARROW to the folder of a pyarrow 26, or build without Parquet files: STRIATE_PARQUET=OFF."
)

if(ArrowParquet_FOUND AND NOT TARGET Arrow::Parquet)
  add_library(Arrow::Arrow SHARED IMPORTED)
  set_target_properties(Arrow::Arrow PROPERTIES IMPORTED_LOCATION "${_arrow_library}"
                                                INTERFACE_INCLUDE_DIRECTORIES "${ArrowParquet_INCLUDE_DIR}")
  add_library(Arrow::Parquet SHARED IMPORTED)
  set_target_properties(Arrow::Parquet PROPERTIES IMPORTED_LOCATION "${_parquet_library}" INTERFACE_LINK_LIBRARIES
                                                                                          Arrow::Arrow)
endif()
