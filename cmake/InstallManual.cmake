# Run by `cmake --install`, with `program` and `share` set: what the program writes about itself goes where the shells
# and man look for it.
function(_striate_writes file)
  execute_process(COMMAND "${program}" ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  message(STATUS "Installing: ${file}")
  file(WRITE "${file}" "${text}")
endfunction()

_striate_writes("${share}/bash-completion/completions/striate" completion bash)
_striate_writes("${share}/zsh/site-functions/_striate" completion zsh)
execute_process(COMMAND "${program}" manual --list OUTPUT_VARIABLE pages COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" pages "${pages}")
foreach(page IN LISTS pages)
  _striate_writes("${share}/man/man1/${page}.1" manual --page "${page}")
endforeach()
