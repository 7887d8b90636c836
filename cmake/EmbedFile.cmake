# Writes OUTPUT, a C++ source that defines a function returning the bytes of INPUT:
#   cmake -DINPUT=FILE -DOUTPUT=FILE -DHEADER=apps/striate/x.h -DFUNCTION=name [-DNAMESPACE=striate::app] -P EmbedFile.cmake

if(NOT NAMESPACE)
  set(NAMESPACE striate::app)
endif()

file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"

namespace ${NAMESPACE} {
namespace {

constexpr unsigned char kBytes[] = {
${bytes}};

}  // namespace

std::string_view ${FUNCTION}() {
  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes};
}

}  // namespace ${NAMESPACE}
")
