// SPDX-License-Identifier: BSD-3-Clause
//! What a host says, into a geometry. The kernel is asked by the caller: nothing here makes a call.

use std::io;
use std::ptr;

use iovageom_sys as sys;

use crate::report::plain;
use crate::{Error, Geometry, Result, Status};

/// iommufd's answer ends before its attributes are used: memory that the kernel may write to.
#[repr(C, align(8))]
struct IommufdHeader([u8; sys::IOVAGEOM_IOMMUFD_RANGES_SIZE as usize]);

fn host_refused(error: &io::Error, what: &str) -> Error {
    Error::new(Status::Host, format!("{what}: {error}"))
}

impl Geometry {
    /// Adds what VFIO_IOMMU_GET_INFO has answered: usable ranges, page sizes and mapping budget, each
    /// if it is there. Takes any bytes.
    pub fn add_vfio_info(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from, and that many bytes.
        plain(unsafe {
            sys::iovageom_host_vfio_info(
                bytes.as_ptr().cast(),
                bytes.len(),
                ptr::null_mut(),
                self.as_mut(),
            )
        })
    }

    /// Asks for VFIO_IOMMU_GET_INFO until the answer is whole, and adds it. `ioctl` is given the
    /// buffer, 8-aligned, with argsz in it, and lets the kernel write there.
    pub fn ask_vfio(&mut self, mut ioctl: impl FnMut(&mut [u64]) -> io::Result<()>) -> Result<()> {
        let mut query = sys::iovageom_vfio_query { size: 0, attempts: 0 };
        // SAFETY: room for a query, which the call fills.
        unsafe { sys::iovageom_host_vfio_query_init(&mut query) };
        loop {
            let mut buffer = vec![0_u64; (query.size + 7) / 8];
            // SAFETY: a query that was made, and a buffer of at least its size.
            unsafe { sys::iovageom_host_vfio_query_request(&query, buffer.as_mut_ptr().cast()) };
            ioctl(&mut buffer).map_err(|error| host_refused(&error, "VFIO_IOMMU_GET_INFO"))?;
            let size = query.size;
            let rc =
                // SAFETY: as above.
                unsafe { sys::iovageom_host_vfio_query_answer(&mut query, buffer.as_ptr().cast()) };
            if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
                plain(rc)?;
                // SAFETY: a live geometry that `&mut self` keeps others from, and `size` bytes.
                return plain(unsafe {
                    sys::iovageom_host_vfio_info(
                        buffer.as_ptr().cast(),
                        size,
                        ptr::null_mut(),
                        self.as_mut(),
                    )
                });
            }
        }
    }

    /// Asks for IOMMU_IOAS_IOVA_RANGES of an IOAS until the answer is whole, and adds it: usable
    /// ranges, and an alignment, which is no page-size mask. Ask after each attach. `ioctl` is given
    /// struct iommu_ioas_iova_ranges, which points at room for the list, and answers as the kernel
    /// did.
    pub fn ask_iommufd(
        &mut self,
        ioas_id: u32,
        mut ioctl: impl FnMut(&mut [u8; 32]) -> io::Result<()>,
    ) -> Result<()> {
        const EMSGSIZE: i32 = 90;
        let mut query = sys::iovageom_iommufd_query { size: 0, ioas_id: 0, attempts: 0 };
        // SAFETY: room for a query, which the call fills.
        unsafe { sys::iovageom_host_iommufd_query_init(&mut query, ioas_id) };
        loop {
            let mut list = vec![0_u64; (query.size + 7) / 8];
            let mut header = IommufdHeader([0; 32]);
            // SAFETY: a query that was made, and room for the header.
            unsafe {
                sys::iovageom_host_iommufd_query_request(
                    &query,
                    list.as_mut_ptr() as usize as u64,
                    header.0.as_mut_ptr().cast(),
                )
            };
            let too_small = match ioctl(&mut header.0) {
                Ok(()) => false,
                Err(error) if error.raw_os_error() == Some(EMSGSIZE) => true,
                Err(error) => return Err(host_refused(&error, "IOMMU_IOAS_IOVA_RANGES")),
            };
            let header = header.0.as_ptr().cast();
            let rc =
                // SAFETY: as above.
                unsafe { sys::iovageom_host_iommufd_query_answer(&mut query, header, too_small) };
            if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
                plain(rc)?;
                // SAFETY: a live geometry that `&mut self` keeps others from, 32 bytes of header, and
                // the bytes of the list that the answer has.
                return plain(unsafe {
                    sys::iovageom_host_iommufd_ranges(
                        header,
                        32,
                        list.as_ptr().cast(),
                        query.size.min(8 * list.len()),
                        ptr::null_mut(),
                        self.as_mut(),
                    )
                });
            }
        }
    }

    /// Adds the text of `/sys/kernel/iommu_groups/N/reserved_regions`. One line that can't be read
    /// refuses all of it.
    pub fn add_sysfs_reserved_regions(&mut self, text: &str) -> Result<()> {
        let mut line = 0;
        // SAFETY: a live geometry that `&mut self` keeps others from, and a text of that length.
        let rc = unsafe {
            sys::iovageom_host_sysfs_reserved_regions(
                text.as_ptr().cast(),
                text.len(),
                sys::IOVAGEOM_SYSFS_STRICT,
                &mut line,
                self.as_mut(),
            )
        };
        plain(rc).map_err(|error| {
            Error::new(error.status(), format!("line {line} of reserved_regions: {error}"))
        })
    }
}
