// SPDX-License-Identifier: BSD-3-Clause
//! Enumerations of the C library. Numbers are stable; one that this version doesn't know stays what
//! it is, as `Other`.

use std::ffi::CStr;
use std::fmt;

use iovageom_sys as sys;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident($raw:ty) { $($(#[$what:meta])* $word:ident = $constant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$what])* $word,)*
            /// One that a newer library knows.
            Other($raw),
        }

        impl $name {
            /// The word for a number of the C library.
            pub fn from_raw(raw: $raw) -> $name {
                #[allow(clippy::unnecessary_cast)]
                match raw {
                    $(x if x == sys::$constant as $raw => $name::$word,)*
                    other => $name::Other(other),
                }
            }

            /// The number in the C library.
            pub fn raw(self) -> $raw {
                #[allow(clippy::unnecessary_cast)]
                match self {
                    $($name::$word => sys::$constant as $raw,)*
                    $name::Other(raw) => raw,
                }
            }
        }
    };
}

words! {
    /// Why a call failed (`enum iovageom_status`).
    Status(i32) {
        Invalid = IOVAGEOM_ERR_INVALID,
        NoMemory = IOVAGEOM_ERR_NO_MEMORY,
        /// A range that ends before it starts: an empty `RangeInclusive` is one.
        Inverted = IOVAGEOM_ERR_INVERTED,
        Overflow = IOVAGEOM_ERR_OVERFLOW,
        Overlap = IOVAGEOM_ERR_OVERLAP,
        NotFound = IOVAGEOM_ERR_NOT_FOUND,
        Unknown = IOVAGEOM_ERR_UNKNOWN,
        NothingUsable = IOVAGEOM_ERR_NOTHING_USABLE,
        BufferTooSmall = IOVAGEOM_ERR_BUFFER_TOO_SMALL,
        Truncated = IOVAGEOM_ERR_TRUNCATED,
        Cycle = IOVAGEOM_ERR_CYCLE,
        Malformed = IOVAGEOM_ERR_MALFORMED,
        Syntax = IOVAGEOM_ERR_SYNTAX,
        Split = IOVAGEOM_ERR_SPLIT,
        Alignment = IOVAGEOM_ERR_ALIGNMENT,
        OutOfAperture = IOVAGEOM_ERR_OUT_OF_APERTURE,
        Reserved = IOVAGEOM_ERR_RESERVED,
        Conflict = IOVAGEOM_ERR_CONFLICT,
        Frozen = IOVAGEOM_ERR_FROZEN,
        Limit = IOVAGEOM_ERR_LIMIT,
        Unsupported = IOVAGEOM_ERR_UNSUPPORTED,
        State = IOVAGEOM_ERR_STATE,
        Version = IOVAGEOM_ERR_VERSION,
        Exists = IOVAGEOM_ERR_EXISTS,
        Disagreement = IOVAGEOM_ERR_DISAGREEMENT,
        Fault = IOVAGEOM_ERR_FAULT,
        Host = IOVAGEOM_ERR_HOST,
    }
}

words! {
    /// Who makes a statement (`enum iovageom_source`). Of two that say the same type of the same
    /// address, the later one in this list shows.
    Source(u32) {
        Vmm = IOVAGEOM_SOURCE_OTHER,
        VtdRegisters = IOVAGEOM_SOURCE_VTD_REGISTERS,
        AmdRegisters = IOVAGEOM_SOURCE_AMD_REGISTERS,
        Smmuv3Registers = IOVAGEOM_SOURCE_SMMUV3_REGISTERS,
        RiscvRegisters = IOVAGEOM_SOURCE_RISCV_REGISTERS,
        Vfio = IOVAGEOM_SOURCE_VFIO,
        Iommufd = IOVAGEOM_SOURCE_IOMMUFD,
        Sysfs = IOVAGEOM_SOURCE_SYSFS,
        Device = IOVAGEOM_SOURCE_DEVICE,
        Envelope = IOVAGEOM_SOURCE_ENVELOPE,
        Machine = IOVAGEOM_SOURCE_MACHINE,
        User = IOVAGEOM_SOURCE_USER,
    }
}

words! {
    /// Types of reserved region (`enum iovageom_resv_type`), in ascending precedence.
    ResvType(u32) {
        DirectRelaxable = IOVAGEOM_RESV_DIRECT_RELAXABLE,
        Reserved = IOVAGEOM_RESV_RESERVED,
        SoftwareMsi = IOVAGEOM_RESV_SOFTWARE_MSI,
        Direct = IOVAGEOM_RESV_DIRECT,
        Msi = IOVAGEOM_RESV_MSI,
    }
}

words! {
    /// What a finding says (`enum iovageom_finding_kind`); report.h of the C library tells which
    /// fields of the finding hold.
    FindingKind(u32) {
        Reserved = IOVAGEOM_FINDING_RESERVED,
        OutOfAperture = IOVAGEOM_FINDING_OUT_OF_APERTURE,
        Alignment = IOVAGEOM_FINDING_ALIGNMENT,
        Granule = IOVAGEOM_FINDING_GRANULE,
        Mapping = IOVAGEOM_FINDING_MAPPING,
        Promise = IOVAGEOM_FINDING_PROMISE,
        InputRange = IOVAGEOM_FINDING_INPUT_RANGE,
        Budget = IOVAGEOM_FINDING_BUDGET,
        Lost = IOVAGEOM_FINDING_LOST,
        Disagreement = IOVAGEOM_FINDING_DISAGREEMENT,
        Unknown = IOVAGEOM_FINDING_UNKNOWN,
        Incomplete = IOVAGEOM_FINDING_INCOMPLETE,
        NothingUsable = IOVAGEOM_FINDING_NOTHING_USABLE,
        Exists = IOVAGEOM_FINDING_EXISTS,
        NotFound = IOVAGEOM_FINDING_NOT_FOUND,
        Overlap = IOVAGEOM_FINDING_OVERLAP,
        ProbeSize = IOVAGEOM_FINDING_PROBE_SIZE,
        Limit = IOVAGEOM_FINDING_LIMIT,
        GuestQuirk = IOVAGEOM_FINDING_GUEST_QUIRK,
        Said = IOVAGEOM_FINDING_OTHER,
        Direct = IOVAGEOM_FINDING_DIRECT,
        NoPlace = IOVAGEOM_FINDING_NO_PLACE,
        MsiWindow = IOVAGEOM_FINDING_MSI_WINDOW,
        Host = IOVAGEOM_FINDING_HOST,
    }
}

impl Status {
    /// The nearest errno, positive, in Linux's numbers.
    pub fn errno(self) -> i32 {
        // SAFETY: a number by value; the call touches no memory.
        unsafe { sys::iovageom_status_errno(self.raw()) }
    }

    /// The status for the tail of a virtio-iommu request.
    pub fn virtio(self) -> u8 {
        // SAFETY: a number by value; the call touches no memory.
        unsafe { sys::iovageom_status_virtio(self.raw()) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: any status has a sentence: static text, never NULL, that ends with NUL.
        let text = unsafe { CStr::from_ptr(sys::iovageom_status_string(self.raw())) };
        formatter.write_str(&text.to_string_lossy())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: any number has a word: static text, never NULL, that ends with NUL.
        let text = unsafe { CStr::from_ptr(sys::iovageom_source_string(self.raw())) };
        formatter.write_str(&text.to_string_lossy())
    }
}

impl fmt::Display for ResvType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: any number has a word: static text, never NULL, that ends with NUL.
        let text = unsafe { CStr::from_ptr(sys::iovageom_resv_type_string(self.raw())) };
        formatter.write_str(&text.to_string_lossy())
    }
}
