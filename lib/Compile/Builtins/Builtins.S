// Archives of what compiled code may call, as data: the linker takes from one what an object needs.
  .section .rodata
  .globl lowbitBuiltinsX86Begin
  .globl lowbitBuiltinsX86End
  .globl lowbitBuiltinsArmBegin
  .globl lowbitBuiltinsArmEnd
  .balign 16
lowbitBuiltinsX86Begin:
  .incbin LOWBIT_BUILTINS_X86
lowbitBuiltinsX86End:
  .balign 16
lowbitBuiltinsArmBegin:
  .incbin LOWBIT_BUILTINS_ARM
lowbitBuiltinsArmEnd:
  .section .note.GNU-stack,"",%progbits
