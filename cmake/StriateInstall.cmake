# What `cmake --install` copies: headers, library, CMake package, program, its completions and man pages, settings.
include(CMakePackageConfigHelpers)

# Headers that only sources of the library include stay here.
install(
  DIRECTORY "${PROJECT_SOURCE_DIR}/src/striate" "${PROJECT_BINARY_DIR}/generated/striate"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING
  PATTERN "*.h"
  PATTERN "striate/cuda" EXCLUDE
  PATTERN "tensor/cuda_operators.h" EXCLUDE
  PATTERN "tensor/kernels" EXCLUDE
  PATTERN "tensor/pch" EXCLUDE
  PATTERN "data/record_reader.h" EXCLUDE
  PATTERN "tables/parquet" EXCLUDE
  PATTERN "tables/without_parquet" EXCLUDE)
install(FILES "${PROJECT_SOURCE_DIR}/src/striate/tensor/kernels/cpu_kernels.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/striate/tensor/kernels")

# $ORIGIN/striate: the libraries that `make package` carries. RPATH, unlike RUNPATH, also holds for what those need.
set(needed_library_dirs "${LibTorch_DIR}/lib" ${ArrowParquet_LIBRARY_DIR})
set_target_properties(striate_library PROPERTIES INSTALL_RPATH "$ORIGIN/striate;${needed_library_dirs}"
                                                 INSTALL_RPATH_USE_LINK_PATH ON)
target_link_options(striate_library PRIVATE $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>:LINKER:--disable-new-dtags>)
install(TARGETS striate_library EXPORT striate)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Striate")
install(EXPORT striate NAMESPACE striate:: FILE StriateTargets.cmake DESTINATION "${package_dir}")
get_target_property(striate_library_type striate_library TYPE)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/StriateConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/package/StriateConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/StriateConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
file(WRITE "${PROJECT_BINARY_DIR}/package/StriateTorch.cmake"
     "# The PyTorch that this machine's libstriate was linked with.\nset(_striate_torch \"${LibTorch_DIR}\")\n")
install(
  FILES "${PROJECT_BINARY_DIR}/package/StriateConfig.cmake"
        "${PROJECT_BINARY_DIR}/package/StriateConfigVersion.cmake"
        "${PROJECT_BINARY_DIR}/package/StriateTorch.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/LocateLibTorch.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/StriateDependencies.cmake"
        "${PROJECT_SOURCE_DIR}/cmake/FindArrowParquet.cmake"
  DESTINATION "${package_dir}")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/configs" DESTINATION "${CMAKE_INSTALL_DATADIR}/striate")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${PROJECT_SOURCE_DIR}/LICENSE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

if(STRIATE_BUILD_PROGRAM)
  set_target_properties(striate PROPERTIES INSTALL_RPATH "${needed_library_dirs}" INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS striate)
  # The program writes its own completions and man pages: they follow from its flags.
  install(CODE "set(program \"$<TARGET_FILE:striate>\")
                set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
                include(\"${PROJECT_SOURCE_DIR}/cmake/InstallManual.cmake\")")
endif()
