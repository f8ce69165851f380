# Fails if the kernels of one instruction set define a symbol that the linker may merge with another's: anything weak
# or unique (nm: W, w, V, v, u) outside their own namespace.
#
#     cmake -DNM=nm -DNAMESPACE=avx2 -DOBJECT=kernels.o -P kernel_symbols.cmake
if(NOT NM)
  message("skipped: nm was not found")
  return()
endif()
execute_process(COMMAND ${NM} ${OBJECT} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} could not read ${OBJECT}")
endif()

string(LENGTH "${NAMESPACE}" length)
set(own "_Z(GR|GV|T[VTIS]|Z)*N[VK]*10flushpoint${length}${NAMESPACE}")  # mangled: templates' arguments cannot confuse it
string(REPLACE "\n" ";" symbols "${symbols}")
set(count 0)
set(leaks "")
foreach(symbol IN LISTS symbols)
  if(symbol MATCHES " [A-Za-z] ")
    math(EXPR count "${count} + 1")
  endif()
  # DW.ref.* is a pointer to the personality routine, the same in every object.
  if(symbol MATCHES " [WwVvu] " AND NOT symbol MATCHES " (${own}|DW\\.ref\\.)")
    string(APPEND leaks "  ${symbol}\n")
  endif()
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "${OBJECT} has no symbols")
endif()
if(leaks)
  message(FATAL_ERROR "weak symbols outside flushpoint::${NAMESPACE}:\n${leaks}")
endif()
message("${count} symbols, none of them weak outside flushpoint::${NAMESPACE}")
