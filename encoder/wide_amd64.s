#include "textflag.h"

// func escapeWide(dst *byte, room int, s *byte, n int, set *wideSet) (written, read int, end wideEnd)
//
// AVX2: 32 bytes at a time are copied, and looked at on the way. What is read
// never depends on what was escaped before, so the processor can look at the
// next block while it still writes this one. Go's assembler names the operands
// source first.
TEXT ·escapeWide(SB), NOSPLIT, $64-57
	MOVQ dst+0(FP), DI
	MOVQ room+8(FP), R9
	LEAQ -224(DI)(R9*1), R9 // wideRoom
	MOVQ s+16(FP), SI
	MOVQ n+24(FP), R8
	ADDQ SI, R8             // the end
	MOVQ set+32(FP), DX
	LEAQ ·escapes(SB), R10
	VMOVDQU (DX), Y8        // sets by low halves of bytes
	VMOVDQU 32(DX), Y9      // and by high ones
	VMOVDQU 64(DX), Y10     // half a byte
	VPXOR Y14, Y14, Y14
	VPXOR Y7, Y7, Y7        // the block before
	XORL R11, R11           // those of its last three bytes that are beyond ASCII
	MOVB $0, end+56(FP)     // wideDone

loop:
	CMPQ DI, R9
	JHI full
	MOVQ R8, CX
	SUBQ SI, CX
	CMPQ CX, $32
	JLT last
	MOVL $32, CX
	VMOVDQU (SI), Y0

block:
	VMOVDQU Y0, (DI)
	VPSRLW $4, Y0, Y1
	VPAND Y10, Y1, Y1
	VPSHUFB Y1, Y9, Y2
	VPSHUFB Y0, Y8, Y3      // beyond ASCII: none
	VPAND Y3, Y2, Y2        // what has to be escaped
	VPMOVMSKB Y0, AX
	ORL AX, R11
	JNE beyond
	VMOVDQA Y0, Y7
	VPCMPEQB Y14, Y2, Y2
	VPMOVMSKB Y2, BX
	XORL $-1, BX
	JNE found
	ADDQ $32, SI
	ADDQ $32, DI
	JMP loop

beyond:
	// A wrong pair of bytes is in one of eight sets by three halves of them:
	// arxiv.org/abs/2010.03090.
	VPERM2I128 $0x21, Y0, Y7, Y3
	VPALIGNR $15, Y3, Y0, Y4 // the bytes one before
	VPALIGNR $14, Y3, Y0, Y5
	VPALIGNR $13, Y3, Y0, Y6
	VMOVDQA Y0, Y7
	VPSRLW $4, Y4, Y3
	VPAND Y10, Y3, Y3
	VMOVDQU 96(DX), Y11
	VPSHUFB Y3, Y11, Y11
	VPAND Y10, Y4, Y3
	VMOVDQU 128(DX), Y12
	VPSHUFB Y3, Y12, Y12
	VMOVDQU 160(DX), Y13
	VPSHUFB Y1, Y13, Y13
	VPAND Y11, Y12, Y12
	VPAND Y13, Y12, Y12
	// Third and fourth bytes must be what pairs alone may not.
	VPSUBUSB 192(DX), Y5, Y3
	VPSUBUSB 224(DX), Y6, Y6
	VPOR Y3, Y6, Y6
	VPAND 256(DX), Y6, Y6
	VPXOR Y6, Y12, Y12
	// U+2028 and U+2029 are found by their last bytes.
	VPCMPEQB 256(DX), Y4, Y4
	VPCMPEQB 288(DX), Y5, Y5
	VPOR 320(DX), Y0, Y3
	VPCMPEQB 352(DX), Y3, Y3
	VPAND Y4, Y5, Y5
	VPAND Y5, Y3, Y3
	VPOR Y3, Y2, Y2
	VPCMPEQB Y14, Y2, Y2
	VPMOVMSKB Y2, BX
	MOVL AX, R11
	SHRL $29, R11
	VPTEST Y12, Y12
	JNE broken
	XORL $-1, BX
	JNE found
	ADDQ $32, SI
	ADDQ $32, DI
	JMP loop

found:
	CMPQ CX, $32
	JNE cut

place:
	// From R12 on the block can be read again, and up to 31 bytes behind it. Those
	// may be beyond the end, but not on another page.
	MOVQ SI, R12
	LEAQ 64(SI), AX
	CMPQ AX, R8
	JLS escape
	MOVL SI, AX
	ANDL $4095, AX
	CMPL AX, $4032
	JLS escape
	LEAQ block-64(SP), R12
	VMOVDQU Y0, (R12)

escape:
	// Byte n of the block goes to DI+n.
	BSFL BX, AX
	MOVBLZX (R12)(AX*1), R14
	TESTB R14, R14
	JMI separator
	SHLL $4, R14
	MOVQ (R10)(R14*1), R13
	MOVQ R13, (DI)(AX*1)
	ADDQ 8(R10)(R14*1), DI
	DECQ DI

again:
	VMOVDQU 1(R12)(AX*1), Y0
	VMOVDQU Y0, 1(DI)(AX*1)
	LEAL -1(BX), AX
	ANDL AX, BX
	JNE escape

next:
	ADDQ CX, SI
	ADDQ CX, DI
	CMPQ CX, $32
	JEQ loop

return:
	VZEROUPPER
	SUBQ dst+0(FP), DI
	SUBQ s+16(FP), SI
	MOVQ DI, written+40(FP)
	MOVQ SI, read+48(FP)
	RET

cut:
	// What is behind the block's last character is not of the text.
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	ANDL AX, BX
	JNE place
	JMP next

separator:
	ANDL $1, R14
	SHLQ $40, R14
	MOVQ $0x38323032755c, R13 // \u2028
	ADDQ R14, R13
	MOVQ R13, -2(DI)(AX*1)
	ADDQ $3, DI
	JMP again

last:
	TESTQ CX, CX
	JEQ empty
	// Behind the end come zeros. Reading there is safe within a page.
	MOVL SI, AX
	ANDL $4095, AX
	CMPL AX, $4064
	JHI apart
	VMOVDQU (SI), Y0

zeros:
	MOVQ CX, AX
	NEGQ AX
	VPAND 416(DX)(AX*1), Y0, Y0
	JMP block

empty:
	TESTL R11, R11
	JEQ return

apart:
	LEAQ block-64(SP), R12
	MOVQ CX, BX
	JMP more

byte:
	DECQ BX
	MOVBLZX (SI)(BX*1), AX
	MOVB AX, (R12)(BX*1)

more:
	TESTQ BX, BX
	JNE byte
	VMOVDQU (R12), Y0
	JMP zeros

full:
	MOVB $1, end+56(FP)     // wideFull
	XORL BX, BX
	MOVQ SI, R14
	JMP back

broken:
	MOVB $2, end+56(FP)     // wideBroken
	XORL $-1, BX
	VPCMPEQB Y14, Y12, Y12
	VPMOVMSKB Y12, AX
	XORL $-1, AX
	BSFL AX, AX
	LEAQ (SI)(AX*1), R14

back:
	// The block ends where the character begins that is not complete at R14.
	MOVQ s+16(FP), R13
	LEAQ -1(R14), CX
	CMPQ CX, R13
	JCS whole
	CMPB (CX), $0xc0
	JCC short
	DECQ CX
	CMPQ CX, R13
	JCS whole
	CMPB (CX), $0xe0
	JCC short
	DECQ CX
	CMPQ CX, R13
	JCS whole
	CMPB (CX), $0xf0
	JCC short

whole:
	MOVQ R14, CX

short:
	SUBQ SI, CX
	JGT found
	ADDQ CX, SI
	ADDQ CX, DI
	JMP return
