/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk as bytes: a boot sector for a BIOS, and a FAT file system with the program that UEFI
 * starts. Both say on the first serial port that they run, so that the firmware has read them.
 */
        .set    SECTOR, 512
        .set    PORT, 0x3f8             /* an emulated UART is always ready */
        .set    DIRECTORY, 0x10

/* ---- sector 0: the BIOS jumps here, at 0x7c00; a FAT describes itself in the same sector ---- */

        .code16
disk:   jmp     boot
        .org    3
        .ascii  "IOVAGEOM"
        .word   SECTOR
        .byte   1                       /* sectors in a cluster */
        .word   1                       /* sectors before the FAT */
        .byte   1                       /* FATs */
        .word   16                      /* entries of the root */
        .word   2048                    /* sectors */
        .byte   0xf8                    /* a hard disk */
        .word   6                       /* sectors of the FAT */
        .word   32, 2                   /* sectors of a track, heads */
        .long   0, 0
        .byte   0x80, 0, 0x29
        .long   0x20261129
        .ascii  "IOVAGEOM   FAT12   "

boot:   xorw    %ax, %ax
        movw    %ax, %ds
        movw    $(0x7c00 + word - disk), %si
        movw    $PORT, %dx
        cld
1:      lodsb
        testb   %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      hlt
        jmp     2b
word:   .asciz  "\nE2E disk by BIOS\n"
        .org    510
        .word   0xaa55

/* ---- the FAT: clusters 2 and 3 are folders, 4 and 5 the program ---- */

        .org    SECTOR
        .byte   0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0xf0, 0xff

/* An entry of a folder, behind its name. */
        .macro  entry attribute, cluster, bytes
        .byte   \attribute
        .zero   14
        .word   \cluster
        .long   \bytes
        .endm

        .org    7 * SECTOR              /* the root */
        .ascii  "EFI        "
        entry   DIRECTORY, 2, 0
        .org    8 * SECTOR              /* cluster 2, /EFI */
        .ascii  ".          "
        entry   DIRECTORY, 2, 0
        .ascii  "..         "
        entry   DIRECTORY, 0, 0
        .ascii  "BOOT       "
        entry   DIRECTORY, 3, 0
        .org    9 * SECTOR              /* cluster 3, /EFI/BOOT */
        .ascii  ".          "
        entry   DIRECTORY, 3, 0
        .ascii  "..         "
        entry   DIRECTORY, 2, 0
        .ascii  "BOOTX64 EFI"
        entry   0x20, 4, 1024

/* ---- clusters 4 and 5: a PE of one section ---- */

        .org    10 * SECTOR
        .ascii  "MZ"
        .zero   58
        .long   64                      /* where the header is */
        .ascii  "PE\0\0"
        .word   0x8664, 1               /* x86-64, sections */
        .long   0, 0, 0
        .word   optional_end - optional, 0x22
optional:
        .word   0x20b, 0
        .long   SECTOR, 0, 0            /* code, data */
        .long   0x1000, 0x1000          /* entry, code */
        .quad   0x400000
        .long   0x1000, SECTOR          /* alignment in memory, in the file */
        .word   0, 0, 0, 0, 0, 0
        .long   0, 0x2000, SECTOR, 0    /* image, headers */
        .word   10, 0                   /* an EFI application */
        .quad   0x10000, 0x1000, 0x10000, 0x1000
        .long   0, 16
        .zero   16 * 8
optional_end:
        .ascii  ".text\0\0\0"
        .long   SECTOR, 0x1000, SECTOR, SECTOR
        .long   0, 0, 0, 0x60000020

        .code64
        .org    11 * SECTOR             /* called with the stack and the registers of a C function */
        pushq   %rsi
        leaq    line(%rip), %rsi
        movl    $PORT, %edx
        cld
1:      lodsb
        testb   %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      popq    %rsi
        xorl    %eax, %eax
        ret
line:   .asciz  "\nE2E disk by UEFI\n"
        .org    1 << 20
