#include "textflag.h"

// func plainBlocks(s *byte, n int, set *byteset) int
//
// SSE2, which every amd64 has: sixteen bytes at a time. Go's assembler names
// the operands source first.
TEXT ·plainBlocks(SB), NOSPLIT, $0-32
	MOVQ s+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ set+16(FP), DX
	MOVOU (DX), X8    // the last control character
	MOVOU 16(DX), X9  // a backslash
	MOVOU 32(DX), X10 // a bit to ignore
	MOVOU 48(DX), X11 // and what to look for then
	MOVOU 64(DX), X12
	MOVOU 80(DX), X13
	XORQ AX, AX
	SUBQ $16, CX      // where the last block begins

loop:
	MOVOU (SI)(AX*1), X0
	PMOVMSKB X0, R9   // bytes beyond ASCII
	MOVO X0, X1
	PMINUB X8, X1
	PCMPEQB X0, X1    // those that the minimum has left
	MOVO X0, X2
	PCMPEQB X9, X2
	POR X2, X1
	MOVO X0, X3
	POR X10, X3
	PCMPEQB X11, X3
	POR X3, X1
	POR X12, X0
	PCMPEQB X13, X0
	POR X0, X1
	PMOVMSKB X1, R10
	ORL R9, R10
	JNE found
	ADDQ $16, AX
	CMPQ AX, CX
	JLE loop

	// The rest is looked at together with what comes before it.
	LEAQ 16(CX), R11
	CMPQ AX, R11
	JEQ done
	MOVQ CX, AX
	JMP loop

found:
	BSFL R10, R10
	ADDQ R10, AX

done:
	MOVQ AX, ret+24(FP)
	RET
