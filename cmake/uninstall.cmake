# SPDX-License-Identifier: BSD-3-Clause
# Removes what the last installation from this build folder installed, by its manifest, and folders of
# ours that are empty then. Under $DESTDIR, as the installation was.
set(manifest ${CMAKE_CURRENT_BINARY_DIR}/install_manifest.txt)
if(NOT EXISTS ${manifest})
  message(FATAL_ERROR "Nothing was installed from here: there is no ${manifest}")
endif()
file(STRINGS ${manifest} files)
foreach(file IN LISTS files)
  set(file "$ENV{DESTDIR}${file}")
  if(EXISTS ${file} OR IS_SYMLINK ${file})
    message(STATUS "Removing: ${file}")
    file(REMOVE ${file})
    if(EXISTS ${file} OR IS_SYMLINK ${file})
      message(FATAL_ERROR "${file} can't be removed")
    endif()
  endif()
  cmake_path(GET file PARENT_PATH folder)
  cmake_path(GET folder FILENAME name)
  if(name MATCHES "iovageom" AND IS_DIRECTORY ${folder})
    # Refuses a folder that is not empty, whatever its name: a glob finds nothing in "folder[1]".
    execute_process(COMMAND rmdir ${folder} ERROR_QUIET)
  endif()
endforeach()
