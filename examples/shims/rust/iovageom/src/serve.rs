// SPDX-License-Identifier: BSD-3-Clause
//! Serving the guest: its requests, as calls or as the bytes of a descriptor chain.

use std::ops::{BitOr, RangeInclusive};
use std::ptr;
use std::sync::Arc;

use iovageom_sys as sys;

use crate::range::{raw_ends, raw_range};
use crate::{Error, Report, Result, Status, Viommu};

/// Feature bits of a virtio-iommu, as masks.
pub mod features {
    use iovageom_sys as sys;

    pub const INPUT_RANGE: u32 = sys::IOVAGEOM_VIRTIO_F_INPUT_RANGE;
    pub const DOMAIN_RANGE: u32 = sys::IOVAGEOM_VIRTIO_F_DOMAIN_RANGE;
    pub const MAP_UNMAP: u32 = sys::IOVAGEOM_VIRTIO_F_MAP_UNMAP;
    pub const BYPASS: u32 = sys::IOVAGEOM_VIRTIO_F_BYPASS;
    pub const PROBE: u32 = sys::IOVAGEOM_VIRTIO_F_PROBE;
    pub const MMIO: u32 = sys::IOVAGEOM_VIRTIO_F_MMIO;
    pub const BYPASS_CONFIG: u32 = sys::IOVAGEOM_VIRTIO_F_BYPASS_CONFIG;
}

/// The statuses of a request's tail.
pub mod virtio_status {
    use iovageom_sys as sys;

    pub const OK: u8 = sys::IOVAGEOM_VIRTIO_S_OK as u8;
    pub const IOERR: u8 = sys::IOVAGEOM_VIRTIO_S_IOERR as u8;
    pub const UNSUPP: u8 = sys::IOVAGEOM_VIRTIO_S_UNSUPP as u8;
    pub const DEVERR: u8 = sys::IOVAGEOM_VIRTIO_S_DEVERR as u8;
    pub const INVAL: u8 = sys::IOVAGEOM_VIRTIO_S_INVAL as u8;
    pub const RANGE: u8 = sys::IOVAGEOM_VIRTIO_S_RANGE as u8;
    pub const NOENT: u8 = sys::IOVAGEOM_VIRTIO_S_NOENT as u8;
    pub const FAULT: u8 = sys::IOVAGEOM_VIRTIO_S_FAULT as u8;
    pub const NOMEM: u8 = sys::IOVAGEOM_VIRTIO_S_NOMEM as u8;
}

/// Flags of a MAP, and what an access needs of them: `READ | WRITE`. From a guest's request,
/// `Access::from_bits` keeps unknown bits, which the books refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access(u32);

impl Access {
    /// Needs nothing: whatever is mapped will do.
    pub const ANY: Access = Access(0);
    pub const READ: Access = Access(sys::IOVAGEOM_VIRTIO_MAP_F_READ);
    pub const WRITE: Access = Access(sys::IOVAGEOM_VIRTIO_MAP_F_WRITE);
    pub const MMIO: Access = Access(sys::IOVAGEOM_VIRTIO_MAP_F_MMIO);

    pub const fn from_bits(bits: u32) -> Access {
        Access(bits)
    }

    pub const fn bits(self) -> u32 {
        self.0
    }

    pub const fn has(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Access {
    type Output = Access;

    fn bitor(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
}

/// Flag of an ATTACH: the domain translates nothing.
pub const ATTACH_BYPASS: u32 = sys::IOVAGEOM_VIRTIO_ATTACH_F_BYPASS;

/// What is to be done on the host before the guest is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Nothing: end the transaction at once.
    Nothing,
    /// Take the endpoint out of the domain it is in, if any, and put all that is mapped in `domain`
    /// into its page tables; for a bypass domain, guest memory one to one.
    Attach { domain: u32, endpoint: u32, from: Option<u32>, bypass: bool },
    /// Take all that is mapped in `domain` out of the endpoint's page tables.
    Detach { domain: u32, endpoint: u32 },
    /// For each endpoint of the domain.
    Map { domain: u32, range: RangeInclusive<u64>, phys: u64, access: Access },
    /// For each endpoint of the domain, run by run: [`Viommu::runs`].
    Unmap { domain: u32, range: RangeInclusive<u64> },
}

/// A request between [`Viommu::begin`] and [`Viommu::end`]: it is ended once.
#[derive(Debug)]
#[must_use = "a request that is not ended is not answered"]
pub struct Transaction {
    raw: sys::iovageom_viommu_transaction,
    books: Arc<()>,
    work: Work,
    why: Report,
}

impl Transaction {
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Why it will be refused; empty when it won't.
    pub fn why(&self) -> &Report {
        &self.why
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answer {
    /// For the used ring; 0 when the buffer was left unwritten.
    pub used_length: usize,
    /// `None` when it was done.
    pub refused: Option<Error>,
}

/// That the VMM's own work has failed, with the host's errno: what to answer, and what to log. Full
/// memory or a full table is NOMEM, all else DEVERR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRefused {
    pub errno: i32,
}

impl From<&std::io::Error> for HostRefused {
    fn from(error: &std::io::Error) -> HostRefused {
        const EIO: i32 = 5;
        HostRefused { errno: error.raw_os_error().unwrap_or(EIO) }
    }
}

impl Viommu {
    /// ATTACH. `flags`: [`ATTACH_BYPASS`], or what the guest wrote. An endpoint that is attached
    /// elsewhere is moved.
    pub fn attach(&mut self, domain: u32, endpoint: u32, flags: u32) -> Result<()> {
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_attach(books, domain, endpoint, flags, said)
        })
    }

    pub fn attach_check(&self, domain: u32, endpoint: u32, flags: u32) -> Result<Report> {
        // SAFETY: live books, which the call does not change, and a live report.
        self.ask(|books, said| unsafe {
            sys::iovageom_viommu_attach_check(books, domain, endpoint, flags, said)
        })
    }

    /// DETACH. The last endpoint takes the domain and its mappings along.
    pub fn detach(&mut self, domain: u32, endpoint: u32) -> Result<()> {
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_detach(books, domain, endpoint, said)
        })
    }

    pub fn detach_check(&self, domain: u32, endpoint: u32) -> Result<Report> {
        // SAFETY: live books, which the call does not change, and a live report.
        self.ask(|books, said| unsafe {
            sys::iovageom_viommu_detach_check(books, domain, endpoint, said)
        })
    }

    /// MAP: then map on the host, and where that fails, take it back with [`Viommu::unmap`].
    pub fn map(
        &mut self,
        domain: u32,
        range: RangeInclusive<u64>,
        phys: u64,
        access: Access,
    ) -> Result<()> {
        let range = raw_range(&range);
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_map(books, domain, range, phys, access.0, said)
        })
    }

    /// UNMAP: how many mappings went.
    pub fn unmap(&mut self, domain: u32, range: RangeInclusive<u64>) -> Result<usize> {
        let (range, mut removed) = (raw_range(&range), 0);
        // SAFETY: live books and report that `&mut self` keeps others from; room for the count.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_unmap(books, domain, range, &mut removed, said)
        })?;
        Ok(removed)
    }

    pub fn unmap_check(&self, domain: u32, range: RangeInclusive<u64>) -> Result<Report> {
        let range = raw_range(&range);
        // SAFETY: live books, which the call does not change, and a live report.
        self.ask(|books, said| unsafe {
            sys::iovageom_viommu_unmap_check(books, domain, range, said)
        })
    }

    /// PROBE: fills `properties`, the buffer without its tail, and promises what they say. Nothing is
    /// written when it is refused.
    pub fn probe(&mut self, endpoint: u32, properties: &mut [u8]) -> Result<()> {
        let (buffer, size) = (properties.as_mut_ptr().cast(), properties.len());
        // SAFETY: live books and report that `&mut self` keeps others from; a buffer of that size.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_probe(books, endpoint, buffer, size, ptr::null_mut(), said)
        })
    }

    /// Reads a request, any bytes of any length, and decides on it. Nothing has changed yet: do the
    /// work on the host, and then call [`Viommu::end`], always.
    pub fn begin(&mut self, readable: &[u8], writable_size: usize) -> Transaction {
        let mut raw = sys::iovageom_viommu_transaction::default();
        // The call has no status of its own: the transaction holds it.
        let _ = self.change(|books, said| {
            // SAFETY: live books and report that `&mut self` keeps others from; the bytes outlive
            // the call; room for the transaction.
            unsafe {
                sys::iovageom_viommu_request_begin(
                    books,
                    readable.as_ptr().cast(),
                    readable.len(),
                    writable_size,
                    &mut raw,
                    said,
                );
            }
            0
        });
        let agreed = raw.answered && raw.status == sys::IOVAGEOM_OK;
        let work = if agreed { self.work_of(&raw.request) } else { Work::Nothing };
        let why = if agreed { Report::default() } else { self.last_said() };
        Transaction { raw, books: self.identity.clone(), work, why }
    }

    fn work_of(&self, request: &sys::iovageom_virtio_request) -> Work {
        let (domain, endpoint) = (request.domain, request.endpoint);
        let range = request.virt.start..=request.virt.last;
        match request.type_ {
            sys::IOVAGEOM_VIRTIO_T_ATTACH => {
                let from = self.endpoint(endpoint).and_then(|found| found.domain);
                if from == Some(domain) {
                    return Work::Nothing;
                }
                let bypass = request.flags & ATTACH_BYPASS != 0;
                Work::Attach { domain, endpoint, from, bypass }
            }
            sys::IOVAGEOM_VIRTIO_T_DETACH => Work::Detach { domain, endpoint },
            sys::IOVAGEOM_VIRTIO_T_MAP => {
                Work::Map { domain, range, phys: request.phys, access: Access(request.flags) }
            }
            sys::IOVAGEOM_VIRTIO_T_UNMAP => Work::Unmap { domain, range },
            _ => Work::Nothing,
        }
    }

    /// Does what was decided, and writes the answer; or that of the host, which refused: then
    /// nothing has changed. `writable` is as long as `begin` was told.
    ///
    /// # Panics
    /// When it is shorter, or when the request was begun in other books.
    pub fn end(
        &mut self,
        transaction: Transaction,
        host: std::result::Result<(), HostRefused>,
        writable: &mut [u8],
    ) -> Answer {
        let Transaction { mut raw, books, why, .. } = transaction;
        assert!(Arc::ptr_eq(&books, &self.identity), "the request was begun in other books");
        let request = raw.request;
        assert!(
            !raw.answered || request.used_length <= writable.len(),
            "the buffer has become shorter since the request was begun"
        );
        let mut used_length = 0;
        let _ = self.change(|books, said| {
            // Other calls since `begin` have left there what they had to say.
            // SAFETY: a live report that `&mut self` keeps others from.
            unsafe { sys::iovageom_report_clear(said) };
            let veto = match host {
                Err(HostRefused { errno }) if raw.status == sys::IOVAGEOM_OK => {
                    let range = raw_ends(request.virt.start, request.virt.last);
                    let (domain, endpoint) = (u64::from(request.domain), u64::MAX);
                    // SAFETY: as above.
                    unsafe {
                        sys::iovageom_report_host_refused(said, errno, domain, endpoint, range)
                    }
                }
                _ => 0,
            };
            // SAFETY: live books and report that `&mut self` keeps others from; a transaction of
            // `begin`, ended here only; a buffer of that size.
            used_length = unsafe {
                sys::iovageom_viommu_request_end(
                    books,
                    &mut raw,
                    veto,
                    writable.as_mut_ptr().cast(),
                    writable.len(),
                    said,
                )
            };
            0
        });
        let refused = (raw.status != sys::IOVAGEOM_OK).then(|| {
            let now = self.last_said();
            Error::with_report(Status::from_raw(raw.status), if now.is_empty() { why } else { now })
        });
        Answer { used_length, refused }
    }

    /// Both in one, for a request on which the host has nothing to do.
    pub fn request(&mut self, readable: &[u8], writable: &mut [u8]) -> Answer {
        let transaction = self.begin(readable, writable.len());
        self.end(transaction, Ok(()), writable)
    }
}
