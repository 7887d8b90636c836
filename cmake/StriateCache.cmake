# ccache keeps a second build short. Precompiled headers make it miss unless it is told that a header's time
# does not matter and that the compiler's PCH flags are safe to hash.
find_program(STRIATE_CCACHE ccache)
if(STRIATE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${STRIATE_CCACHE})
endif()
