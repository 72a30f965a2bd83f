// SPDX-License-Identifier: BSD-3-Clause
//! What a host, device or envelope lets a guest map.

use std::ffi::CStr;
use std::fmt;
use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};

use iovageom_sys as sys;

use crate::range::{range_of, raw_range, raw_ranges};
use crate::report::{c_name, known, plain, Raw};
use crate::{Owner, RangeSet, Report, Result, ResvType, Source};

/// A region that is not usable, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Region {
    pub range: RangeInclusive<u64>,
    pub resv_type: ResvType,
    pub owner: Option<Owner>,
}

/// What somebody said something of, in a geometry. What nobody spoke of is not empty, but unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Known {
    pub aperture: bool,
    pub usable: bool,
    pub reserved: bool,
    pub page_sizes: bool,
    pub alignment: bool,
    pub map_budget: bool,
    /// A list may have been cut off, or what registers say depends on the kernel.
    pub incomplete: bool,
}

/// What a host, group, device or envelope lets a guest map: facts, each with its owner. What nobody
/// said is unknown, which is not the same as empty: it is `None` here.
///
/// ```
/// # fn main() -> iovageom::Result<()> {
/// use iovageom::{Geometry, ResvType, Source, Status};
///
/// let mut host = Geometry::new("0000:00:02.0")?;
/// assert_eq!(host.gaw()?, None);
/// host.add_gaw(39, Source::VtdRegisters)?;
/// host.add_page_sizes(0x4020_1000, Source::Vfio)?;
/// host.add_reserved(0xfee0_0000..=0xfeef_ffff, ResvType::Msi, Source::Sysfs)?;
///
/// let why = host.explain(0xfee0_1000..=0xfee0_1fff).unwrap_err();
/// assert_eq!(why.status(), Status::Reserved);
/// assert_eq!(why.to_string(), "[0xfee01000,0xfee01fff] cannot be mapped: 0000:00:02.0 reserves \
///     [0xfee00000,0xfeefffff] (msi), says sysfs; use other addresses");
/// # Ok(())
/// # }
/// ```
pub struct Geometry(NonNull<sys::iovageom_geometry>);

// SAFETY: a geometry has no thread affinity and shares nothing with another one.
unsafe impl Send for Geometry {}
// SAFETY: all that takes `&self` calls C with a pointer to const, and the library lets any number of
// such calls run at once on one object.
unsafe impl Sync for Geometry {}

impl Drop for Geometry {
    fn drop(&mut self) {
        // SAFETY: it came from the library, and is freed here only.
        unsafe { sys::iovageom_geometry_free(self.0.as_ptr()) }
    }
}

impl Geometry {
    /// One that knows nothing, and so forbids nothing. Messages call it, and what is added, `name`:
    /// less than 60 bytes.
    pub fn new(name: &str) -> Result<Geometry> {
        let name = c_name(name)?;
        // SAFETY: a text that ends with NUL and outlives the call, and room for a pointer.
        Geometry::made(|out| unsafe { sys::iovageom_geometry_new(ptr::null(), name.as_ptr(), out) })
    }

    fn made(call: impl FnOnce(*mut *mut sys::iovageom_geometry) -> i32) -> Result<Geometry> {
        let mut out = ptr::null_mut();
        plain(call(&mut out))?;
        Ok(Geometry(NonNull::new(out).expect("a call that succeeds has made one")))
    }

    /// The same for a call that has something to say.
    pub(crate) fn made_saying(
        report: &mut Raw,
        call: impl FnOnce(*mut *mut sys::iovageom_geometry, *mut sys::iovageom_report) -> i32,
    ) -> Result<Geometry> {
        let mut out = ptr::null_mut();
        let rc = call(&mut out, report.as_mut());
        report.outcome(rc)?;
        Ok(Geometry(NonNull::new(out).expect("a call that succeeds has made one")))
    }

    /// A second one that says the same. It is no `Clone`, since memory may be short.
    pub fn try_clone(&self) -> Result<Geometry> {
        // SAFETY: a live geometry, and room for a pointer.
        Geometry::made(|out| unsafe { sys::iovageom_geometry_copy(self.as_ptr(), out) })
    }

    /// # Safety
    /// `raw` must be a live geometry, which nobody changes meanwhile.
    pub(crate) unsafe fn copy_of(raw: *const sys::iovageom_geometry) -> Result<Geometry> {
        // SAFETY: as the caller promises; room for a pointer.
        Geometry::made(|out| unsafe { sys::iovageom_geometry_copy(raw, out) })
    }

    pub(crate) fn as_ptr(&self) -> *const sys::iovageom_geometry {
        self.0.as_ptr()
    }

    pub(crate) fn as_mut(&mut self) -> *mut sys::iovageom_geometry {
        self.0.as_ptr()
    }

    pub fn name(&self) -> String {
        // SAFETY: a live geometry; its name ends with NUL, and is copied while it lives.
        unsafe { CStr::from_ptr(sys::iovageom_geometry_name(self.as_ptr())) }
            .to_string_lossy()
            .into_owned()
    }

    /// `source` translates addresses in `aperture` only.
    pub fn add_aperture(&mut self, aperture: RangeInclusive<u64>, source: Source) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe {
            sys::iovageom_geometry_add_aperture(self.as_mut(), raw_range(&aperture), source.raw())
        })
    }

    /// `source` has a guest address width of 1 to 64 bits.
    pub fn add_gaw(&mut self, bits: u32, source: Source) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_geometry_add_gaw(self.as_mut(), bits, source.raw()) })
    }

    /// `source` maps these ranges, in any order, and nothing else: nothing at all where there are none.
    pub fn add_usable(&mut self, ranges: &[RangeInclusive<u64>], source: Source) -> Result<()> {
        let raw = raw_ranges(ranges);
        // SAFETY: a live geometry that `&mut self` keeps others from, and an array of that length.
        plain(unsafe {
            sys::iovageom_geometry_add_usable(self.as_mut(), raw.as_ptr(), raw.len(), source.raw())
        })
    }

    pub fn add_reserved(
        &mut self,
        range: RangeInclusive<u64>,
        resv_type: ResvType,
        source: Source,
    ) -> Result<()> {
        let range = raw_range(&range);
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe {
            sys::iovageom_geometry_add_reserved(self.as_mut(), range, resv_type.raw(), source.raw())
        })
    }

    /// `source` maps pages of 2^n bytes for each bit n of `mask`. 0 is a fact: nothing maps.
    pub fn add_page_sizes(&mut self, mask: u64, source: Source) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_geometry_add_page_sizes(self.as_mut(), mask, source.raw()) })
    }

    /// `source` maps multiples of `alignment`, and says nothing of page sizes (iommufd).
    pub fn add_alignment(&mut self, alignment: u64, source: Source) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe {
            sys::iovageom_geometry_add_alignment(self.as_mut(), alignment, source.raw())
        })
    }

    /// `source` allows that many live mappings; said by [`Source::Vfio`], that many more.
    pub fn add_map_budget(&mut self, mappings: u64, source: Source) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe {
            sys::iovageom_geometry_add_map_budget(self.as_mut(), mappings, source.raw())
        })
    }

    /// The host's software places MSI doorbells in `window`: it becomes reserved as
    /// [`ResvType::SoftwareMsi`], and what the host calls MSI there no longer is. After the decoders.
    pub fn add_software_msi(&mut self, window: RangeInclusive<u64>, source: Source) -> Result<()> {
        let window = raw_range(&window);
        // SAFETY: a live geometry that `&mut self` keeps others from.
        plain(unsafe {
            sys::iovageom_geometry_add_software_msi(self.as_mut(), window, source.raw())
        })
    }

    /// What somebody said something of.
    pub fn knows(&self) -> Known {
        // SAFETY: a live geometry, which the call does not change.
        let bits = unsafe { sys::iovageom_geometry_knows(self.as_ptr()) };
        let has = |fact: u32| bits & fact != 0;
        Known {
            aperture: has(sys::IOVAGEOM_FACT_APERTURE),
            usable: has(sys::IOVAGEOM_FACT_USABLE),
            reserved: has(sys::IOVAGEOM_FACT_RESERVED),
            page_sizes: has(sys::IOVAGEOM_FACT_PAGE_SIZES),
            alignment: has(sys::IOVAGEOM_FACT_ALIGNMENT),
            map_budget: has(sys::IOVAGEOM_FACT_MAP_BUDGET),
            incomplete: has(sys::IOVAGEOM_FACT_INCOMPLETE),
        }
    }

    /// A number that somebody said, or nobody.
    fn number(
        &self,
        ask: impl FnOnce(*const sys::iovageom_geometry, *mut u64) -> i32,
    ) -> Result<Option<u64>> {
        let mut number = 0;
        let rc = ask(self.as_ptr(), &mut number);
        known(rc, ()).map(|said| said.map(|()| number))
    }

    /// The meet of all page-size masks. `Some(0)`: nothing maps.
    pub fn page_sizes(&self) -> Result<Option<u64>> {
        // SAFETY: a live geometry, and room for the answer.
        self.number(|this, out| unsafe { sys::iovageom_geometry_page_sizes(this, out) })
    }

    /// The largest alignment, in bytes.
    pub fn alignment(&self) -> Result<Option<u64>> {
        // SAFETY: a live geometry, and room for the answer.
        self.number(|this, out| unsafe { sys::iovageom_geometry_alignment(this, out) })
    }

    /// How many mappings can be added at least.
    pub fn map_budget(&self) -> Result<Option<u64>> {
        // SAFETY: a live geometry, and room for the answer.
        self.number(|this, out| unsafe { sys::iovageom_geometry_map_budget(this, out) })
    }

    /// The page-size mask to promise to a guest that maps in multiples of `granule` (bytes; `None`:
    /// the host's own).
    pub fn promise_mask(&self, granule: Option<u64>) -> Result<Option<u64>> {
        let granule = granule.unwrap_or(0);
        // SAFETY: a live geometry, and room for the answer.
        self.number(|this, out| unsafe { sys::iovageom_geometry_promise_mask(this, granule, out) })
    }

    /// The guest address width: that of the highest usable address. `None` when nobody said.
    pub fn gaw(&self) -> Result<Option<u32>> {
        let mut bits = 0;
        // SAFETY: a live geometry, and room for the answer.
        let rc = unsafe { sys::iovageom_geometry_gaw(self.as_ptr(), &mut bits) };
        known(rc, ()).map(|said| said.map(|()| bits))
    }

    /// The smallest multiple that maps, in bytes.
    pub fn granule(&self) -> Result<Option<u64>> {
        let mut granule = 0;
        // SAFETY: a live geometry, and room for the answer.
        let rc = unsafe { sys::iovageom_geometry_granule(self.as_ptr(), &mut granule) };
        known(rc, ()).map(|said| said.map(|()| granule))
    }

    /// Up to where the host's statements are complete; beyond it nobody said anything.
    pub fn known_range(&self) -> Result<Option<RangeInclusive<u64>>> {
        let mut range = sys::iovageom_range::default();
        // SAFETY: a live geometry, and room for the answer.
        let rc = unsafe { sys::iovageom_geometry_known_range(self.as_ptr(), &mut range) };
        known(rc, ()).map(|said| said.map(|()| range_of(range)))
    }

    /// The usable addresses in whole granules (bytes, a power of two; 1 for none).
    pub fn usable(&self, granule: u64) -> Result<RangeSet> {
        let mut set = RangeSet::new();
        // SAFETY: a live geometry and a live set.
        plain(unsafe { sys::iovageom_geometry_usable(self.as_ptr(), granule, set.as_mut()) })?;
        Ok(set)
    }

    /// What is not usable in whole granules, and nothing else: disjoint and ascending.
    pub fn reserved(&self, granule: u64) -> Result<Vec<Region>> {
        let raw = filled(|out, capacity, needed| {
            // SAFETY: a live geometry, and room for `capacity` regions.
            unsafe {
                sys::iovageom_geometry_reserved(self.as_ptr(), granule, out, capacity, needed)
            }
        })?;
        Ok(raw.into_iter().map(|region| self.region(region)).collect())
    }

    /// Who shows at each address that somebody speaks of: by type, then by source. Unlike
    /// [`Geometry::reserved`] it has regions that the host gives up, too, and keeps owners apart.
    pub fn regions(&self) -> Result<Vec<Region>> {
        let raw = filled(|out, capacity, needed| {
            // SAFETY: a live geometry, and room for `capacity` regions.
            unsafe { sys::iovageom_geometry_regions(self.as_ptr(), out, capacity, needed) }
        })?;
        Ok(raw.into_iter().map(|region| self.region(region)).collect())
    }

    fn region(&self, raw: sys::iovageom_region) -> Region {
        let owner =
            // SAFETY: a live geometry; NULL for a number that is none, else an owner, copied at once.
            unsafe { sys::iovageom_geometry_owner(self.as_ptr(), raw.owner as usize).as_ref() };
        Region {
            range: range_of(raw.range),
            resv_type: ResvType::from_raw(raw.type_),
            owner: owner.map(Owner::from_raw),
        }
    }

    /// Whether the host accepts a mapping of `range`. Allocates nothing.
    pub fn accepts(&self, range: RangeInclusive<u64>) -> bool {
        let range = raw_range(&range);
        // SAFETY: a live geometry, which the call does not change; no report is asked for.
        unsafe { sys::iovageom_geometry_explain(self.as_ptr(), range, ptr::null_mut()) == 0 }
    }

    /// Why `range` is accepted or not: every obstacle, or notes on what is unknown.
    pub fn explain(&self, range: RangeInclusive<u64>) -> Result<Report> {
        let mut report = Raw::new();
        // SAFETY: a live geometry and a live report.
        let rc = unsafe {
            sys::iovageom_geometry_explain(self.as_ptr(), raw_range(&range), report.as_mut())
        };
        report.answer(rc)
    }

    /// Whether what is said of one device contradicts itself.
    pub fn check(&self) -> Result<Report> {
        let mut report = Raw::new();
        // SAFETY: a live geometry and a live report.
        let rc = unsafe { sys::iovageom_geometry_check(self.as_ptr(), report.as_mut()) };
        report.answer(rc)
    }

    /// Whether Linux 6.6 and later gives such a device to anybody.
    pub fn assignable(&self) -> Result<Report> {
        let mut report = Raw::new();
        // SAFETY: a live geometry and a live report.
        let rc = unsafe { sys::iovageom_geometry_assignable(self.as_ptr(), report.as_mut()) };
        report.answer(rc)
    }

    /// The greatest geometry that both honour.
    pub fn meet(&self, other: &Geometry, name: &str) -> Result<Geometry> {
        let mut met = Geometry::new(name)?;
        met.narrow(self)?;
        met.narrow(other)?;
        Ok(met)
    }

    /// Becomes the meet of itself and `other`.
    pub fn narrow(&mut self, other: &Geometry) -> Result<()> {
        // SAFETY: two live geometries, of which `&mut self` keeps others from this one.
        plain(unsafe { sys::iovageom_geometry_narrow(self.as_mut(), other.as_ptr()) })
    }

    /// The bytes of a PROBE answer that tell a guest of this geometry: `size` of them, the rest
    /// zeros. The report notes what had to be given up to fit.
    pub fn probe_bytes(
        &self,
        granule: u64,
        window: RangeInclusive<u64>,
        size: usize,
    ) -> Result<(Vec<u8>, Report)> {
        let mut bytes = vec![0; size];
        let mut report = Raw::new();
        // SAFETY: a live geometry and report, and a buffer of `size` bytes.
        let rc = unsafe {
            sys::iovageom_plan_probe_encode(
                ptr::null(),
                self.as_ptr(),
                granule,
                raw_range(&window),
                bytes.as_mut_ptr().cast(),
                size,
                ptr::null_mut(),
                report.as_mut(),
            )
        };
        report.answer(rc).map(|notes| (bytes, notes))
    }

    /// Bytes that [`Geometry::load`] reads, with owners, for a migration stream.
    pub fn save(&self) -> Result<Vec<u8>> {
        saved(|buffer, size, needed| {
            // SAFETY: a live geometry, and a buffer of `size` bytes.
            unsafe { sys::iovageom_geometry_save(self.as_ptr(), buffer, size, needed) }
        })
    }

    /// Takes any bytes.
    pub fn load(bytes: &[u8]) -> Result<Geometry> {
        Geometry::made(|out| {
            // SAFETY: the bytes outlive the call, which keeps none of them; room for a pointer.
            unsafe {
                sys::iovageom_geometry_load(ptr::null(), bytes.as_ptr().cast(), bytes.len(), out)
            }
        })
    }
}

impl PartialEq for Geometry {
    /// Whether both say the same to a guest and to a VMM: names and owners do not count.
    fn eq(&self, other: &Geometry) -> bool {
        // SAFETY: two live geometries, which the call does not change.
        unsafe { sys::iovageom_geometry_equal(self.as_ptr(), other.as_ptr()) }
    }
}

impl Eq for Geometry {}

impl fmt::Debug for Geometry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Geometry")
            .field("name", &self.name())
            .field("usable", &self.usable(1))
            .field("granule", &self.granule())
            .finish()
    }
}

/// Asks how many regions there are, and then for them.
pub(crate) fn filled(
    mut call: impl FnMut(*mut sys::iovageom_region, usize, *mut usize) -> i32,
) -> Result<Vec<sys::iovageom_region>> {
    let mut needed = 0;
    let rc = call(ptr::null_mut(), 0, &mut needed);
    if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
        plain(rc)?;
    }
    let mut regions = vec![sys::iovageom_region::default(); needed];
    plain(call(regions.as_mut_ptr(), needed, &mut needed))?;
    Ok(regions)
}

/// The same for bytes.
pub(crate) fn saved(
    mut call: impl FnMut(*mut std::os::raw::c_void, usize, *mut usize) -> i32,
) -> Result<Vec<u8>> {
    let mut needed = 0;
    let rc = call(ptr::null_mut(), 0, &mut needed);
    if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
        plain(rc)?;
    }
    let mut bytes = vec![0; needed];
    plain(call(bytes.as_mut_ptr().cast(), needed, &mut needed))?;
    Ok(bytes)
}
