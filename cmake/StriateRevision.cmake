# Writes OUTPUT, the source of git_revision(), when the revision of SOURCE_DIR is another than the one written last:
#   cmake -DSOURCE_DIR=DIR -DOUTPUT=FILE -P StriateRevision.cmake
# Run by every build; it compiles one small file after a commit, and nothing otherwise. Where there is no git, or DIR is
# not a checkout of its own (an unpacked archive, perhaps inside somebody else's checkout), the revision is unknown.

set(revision "unknown")
find_program(git git)
if(git AND EXISTS "${SOURCE_DIR}/.git")
  execute_process(COMMAND "${git}" -C "${SOURCE_DIR}" rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE commit RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(revision "${commit}")
    execute_process(COMMAND "${git}" --no-optional-locks -C "${SOURCE_DIR}" diff --quiet HEAD --
                    RESULT_VARIABLE changed ERROR_QUIET)
    if(changed)
      string(APPEND revision " and changes")
    endif()
  endif()
endif()

set(source
    "#include \"apps/striate/git_revision.h\"\n\nnamespace striate::app {\n\nconst char* git_revision() {\n  return \"${revision}\";\n}\n\n}  // namespace striate::app\n"
)
set(written "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" written)
endif()
if(NOT written STREQUAL source)
  file(WRITE "${OUTPUT}" "${source}")
endif()
