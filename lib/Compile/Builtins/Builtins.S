// The archive of what compiled code may call, as data: the linker takes from it what an object needs.
  .section .rodata
  .globl lowbitBuiltinsBegin
  .globl lowbitBuiltinsEnd
  .balign 16
lowbitBuiltinsBegin:
  .incbin LOWBIT_BUILTINS_ARCHIVE
lowbitBuiltinsEnd:
  .section .note.GNU-stack,"",%progbits
