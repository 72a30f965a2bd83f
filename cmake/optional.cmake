# SPDX-License-Identifier: BSD-3-Clause

# Libraries that our programs use where they are there.
#
# pkg-config speaks of this machine, unless it was told of the one that is built for; and a library
# that is there may be one for another kind of program (gcc -m32): what does not link is not taken.
find_package(PkgConfig)
set(ask_pkg_config ${PKG_CONFIG_FOUND})
if(CMAKE_CROSSCOMPILING AND NOT DEFINED ENV{PKG_CONFIG_LIBDIR}
    AND NOT DEFINED ENV{PKG_CONFIG_SYSROOT_DIR}
    AND "${PKG_CONFIG_EXECUTABLE}" MATCHES "/(pkg-config|pkgconf)$")
  set(ask_pkg_config OFF)
endif()
include(CheckCSourceCompiles)
function(iovageom_uses target module define header call)
  if(ask_pkg_config)
    pkg_check_modules(${module} IMPORTED_TARGET ${module})
  endif()
  if(NOT ask_pkg_config OR NOT ${module}_FOUND)
    return()
  endif()
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::${module})
  set(CMAKE_REQUIRED_QUIET ON)
  check_c_source_compiles("#include <${header}>
int main(void) { ${call}; return 0; }" ${define})
  if(${define})
    target_compile_definitions(${target} PRIVATE ${define})
    target_link_libraries(${target} PRIVATE PkgConfig::${module})
  else()
    message(STATUS "${target}: ${module} is here, but does not link")
  endif()
endfunction()
