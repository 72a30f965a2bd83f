// SPDX-License-Identifier: BSD-3-Clause
//! What a virtual IOMMU may promise its guest, given what the host can map.
//!
//! A virtual machine monitor (VMM) that assigns a host device to a guest behind a virtual IOMMU lets
//! the guest choose I/O virtual addresses, of which the physical IOMMU below accepts only some. This
//! crate is the one place where a VMM asks what its host can map, what it may promise the guest
//! (the PROBE answers of a virtio-iommu), what it has promised already, and whether a new device
//! fits. It makes no system call, keeps no thread and has no globals: the VMM feeds it the bytes that
//! VFIO, iommufd and sysfs give, and the guest's requests, and gets answers, with reasons.
//!
//! - [`Geometry`]: what a host, device or envelope lets a guest map, and who says so.
//! - [`Viommu`]: the books of a virtual IOMMU: devices that come and go, requests, translation,
//!   snapshots. Readers take `&self` and may be many; see its example with an `RwLock`.
//! - [`Cover`], [`DirtyBitmap`]: dirty tracking behind a virtual IOMMU.
//! - [`Envelope`], [`Geometry::layout`], [`HostLimits`]: for planning, before there is a guest.
//! - [`RangeSet`]: sets of addresses, for any purpose.
//! - [`Error`] and [`Report`]: why something was refused, as data and as a sentence for the log.
//!
//! Ranges are `RangeInclusive<u64>`, so that `0..=u64::MAX` has a name. It is a binding to the C
//! library libiovageom, whose headers are the full manual; the crate `iovageom-sys` compiles it.
//! Nothing here is `Clone` that owns memory of the library: copying may fail, and is asked for by
//! `try_clone`.
//!
//! From what a kernel says to what a guest is told:
//!
//! ```
//! # fn main() -> iovageom::Result<()> {
//! use iovageom::{Geometry, Source};
//!
//! let mut host = Geometry::new("0000:3b:00.0")?;
//! host.add_usable(&[0..=0xfedf_ffff, 0xfef0_0000..=0x7f_ffff_ffff], Source::Vfio)?;
//! host.add_sysfs_reserved_regions("0x00000000fee00000 0x00000000feefffff msi\n")?;
//! let (bytes, notes) = host.probe_bytes(4096, 0..=u64::MAX, 512)?;
//! assert_eq!(&bytes[..5], &[1, 0, 20, 0, 1]); // RESV_MEM, 20 bytes, MSI
//! assert!(notes.findings().iter().all(|finding| !finding.fatal));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `cc` (default), `system`: where the C library comes from, see `iovageom-sys`.
//! - `serde`: [`Report`], [`Error`] and what they hold are `Serialize`; [`Geometry`] and
//!   [`RangeSet`] `Deserialize`, too.
//! - `vm-memory`: [`Viommu::translate_guest`], and the ranges of a `GuestMemory`.
//!
//! Rust 1.63 is enough for all but what those optional crates ask for themselves.
#![warn(missing_debug_implementations)]

mod cover;
mod geometry;
mod host;
mod plan;
mod range;
mod read;
mod registers;
mod report;
#[cfg(feature = "serde")]
mod serde_impls;
mod serve;
mod set;
mod setup;
mod viommu;
#[cfg(feature = "vm-memory")]
mod vm_memory_impls;
mod words;

pub use cover::{Cover, DirtyBitmap};
pub use geometry::{Geometry, Known, Region};
pub use plan::{Envelope, Layout, Outcome, Piece, PieceKind, Placement};
pub use read::{Domain, Fault, Mapping, Segment};
pub use registers::{sysfs_amd_features, sysfs_register, HostLimits, HwInfo, Linux, Stage};
pub use report::{Error, Finding, Owner, Report, Result};
pub use serve::{
    features, virtio_status, Access, Answer, HostRefused, Transaction, Work, ATTACH_BYPASS,
};
pub use set::{RangeSet, Ranges};
pub use setup::{Config, ConfigSpace, Declared, Endpoint, PlugOptions, Promise};
pub use viommu::Viommu;
#[cfg(feature = "vm-memory")]
pub use vm_memory_impls::guest_ranges;
pub use words::{FindingKind, ResvType, Source, Status};

/// The example of the README is tried, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The version of the C library in use, "major.minor.patch".
pub fn version() -> String {
    // SAFETY: static text, never NULL, that ends with NUL.
    let text = unsafe { std::ffi::CStr::from_ptr(iovageom_sys::iovageom_version()) };
    text.to_string_lossy().into_owned()
}
