# cmake -DROOT=… -DOUTPUT=… -P DigestSources.cmake: a header with one digest of all sources of the compiler. Written
# only if it changes, so that what includes it is compiled only then.
file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/include/* ${ROOT}/lib/*)
list(SORT sources)
set(digests "")
foreach(source ${sources})
  file(SHA256 ${ROOT}/${source} digest)
  string(APPEND digests "${source} ${digest}\n")
endforeach()
string(SHA256 digest "${digests}")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define LOWBIT_SOURCES_DIGEST \"${digest}\"\n")
