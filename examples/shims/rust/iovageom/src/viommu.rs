// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU: devices that come and go, what was promised, keeping.

use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use iovageom_sys as sys;

use crate::geometry::{filled, saved};
use crate::range::{range_of, raw_range, raw_ranges};
use crate::report::{c_name, plain, Raw};
use crate::setup::{raw_options, Config, ConfigSpace, Declared, PlugOptions, Promise};
use crate::{Geometry, RangeSet, Region, Report, Result, ResvType, Source};

/// The books of a virtual IOMMU: what was configured, plugged, promised and mapped. They decide
/// which device may come, and what each request of the guest is answered.
///
/// What takes `&self` never changes them and may run in any number of threads: put them into an
/// `RwLock`, translate under its read lock, and serve requests under its write lock. Where it says
/// so, such a call allocates nothing either.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use iovageom::{Access, Config, Geometry, PlugOptions, Source, Viommu};
/// use std::sync::RwLock;
///
/// let mut host = Geometry::new("0000:3b:00.0")?;
/// host.add_usable(&[0..=0xfedf_ffff, 0xfef0_0000..=0x7f_ffff_ffff], Source::Vfio)?;
/// host.add_page_sizes(0x4020_1000, Source::Vfio)?;
///
/// let mut books = Viommu::new(&Config::default())?;
/// books.plug(8, &PlugOptions::default(), &host)?;
/// books.attach(1, 8, 0)?;
/// books.map(1, 0x1000..=0x2fff, 0x8000, Access::READ | Access::WRITE)?;
/// let beyond = books.map(1, 0x80_0000_0000..=0x80_0000_0fff, 0x8000, Access::READ).unwrap_err();
/// assert!(beyond.to_string().contains("0000:3b:00.0"));
///
/// let books = RwLock::new(books);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             let books = books.read().unwrap();
///             assert_eq!(books.translate_whole(8, 0x1ff0, 0x20, Access::WRITE), Ok(0x8ff0));
///         });
///     }
/// });
/// # Ok(())
/// # }
/// ```
pub struct Viommu {
    raw: NonNull<sys::iovageom_viommu>,
    /// What the last call that may change the books has said: kept, so that none has to be made for
    /// each request of a guest.
    said: Box<Raw>,
    /// Which books a transaction is of: it keeps places in them.
    pub(crate) identity: Arc<()>,
}

// SAFETY: the books have no thread affinity, and `raw` is the only pointer to them.
unsafe impl Send for Viommu {}
// SAFETY: all that takes `&self` calls C with a pointer to const, which any number of threads may at
// once; `said` is read and written under `&mut self` only.
unsafe impl Sync for Viommu {}

impl Drop for Viommu {
    fn drop(&mut self) {
        // SAFETY: they came from the library, and are freed here only.
        unsafe { sys::iovageom_viommu_free(self.raw.as_ptr()) }
    }
}

impl std::fmt::Debug for Viommu {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Viommu")
            .field("frozen", &self.frozen())
            .field("endpoints", &self.endpoints().count())
            .field("domains", &self.domains().collect::<Vec<_>>())
            .finish()
    }
}

impl Viommu {
    pub fn new(config: &Config) -> Result<Viommu> {
        let mut raw = ptr::null_mut();
        // SAFETY: a configuration that outlives the call, and room for a pointer.
        plain(unsafe { sys::iovageom_viommu_new(ptr::null(), &config.raw(), &mut raw) })?;
        let raw = NonNull::new(raw).expect("a call that succeeds has made one");
        Ok(Viommu { raw, said: Box::new(Raw::new()), identity: Arc::new(()) })
    }

    pub(crate) fn as_ptr(&self) -> *const sys::iovageom_viommu {
        self.raw.as_ptr()
    }

    /// A call that may change the books, with what it has to say.
    pub(crate) fn change(
        &mut self,
        call: impl FnOnce(*mut sys::iovageom_viommu, *mut sys::iovageom_report) -> i32,
    ) -> Result<()> {
        let rc = call(self.raw.as_ptr(), self.said.as_mut().as_mut());
        self.said.outcome(rc)
    }

    /// The same, for a caller who wants the notes of what went well.
    pub(crate) fn change_noting(
        &mut self,
        call: impl FnOnce(*mut sys::iovageom_viommu, *mut sys::iovageom_report) -> i32,
    ) -> Result<Report> {
        let rc = call(self.raw.as_ptr(), self.said.as_mut().as_mut());
        self.said.answer(rc)
    }

    /// A call that changes nothing.
    pub(crate) fn ask(
        &self,
        call: impl FnOnce(*const sys::iovageom_viommu, *mut sys::iovageom_report) -> i32,
    ) -> Result<Report> {
        let mut said = Raw::new();
        let rc = call(self.as_ptr(), said.as_mut());
        said.answer(rc)
    }

    pub(crate) fn last_said(&self) -> Report {
        self.said.read()
    }

    /// Reserve a window for every endpoint: the machine's MSI doorbells, a user's regions.
    pub fn add_region(
        &mut self,
        range: RangeInclusive<u64>,
        resv_type: ResvType,
        source: Source,
        name: &str,
    ) -> Result<()> {
        let (range, name) = (raw_range(&range), c_name(name)?);
        // SAFETY: live books that `&mut self` keeps others from, and a text that ends with NUL.
        plain(unsafe {
            sys::iovageom_viommu_add_region(
                self.raw.as_ptr(),
                range,
                resv_type.raw(),
                source.raw(),
                name.as_ptr(),
            )
        })
    }

    /// What every device to come can map at least.
    pub fn set_envelope(&mut self, envelope: Option<&Geometry>) -> Result<Report> {
        let envelope = envelope.map_or(ptr::null(), Geometry::as_ptr);
        // SAFETY: live books and report that `&mut self` keeps others from; NULL or a live geometry.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_set_envelope(books, envelope, said)
        })
    }

    /// Which guest-physical ranges a bypass translates one to one.
    pub fn set_identity(&mut self, ranges: &[RangeInclusive<u64>]) -> Result<Report> {
        let raw = raw_ranges(ranges);
        // SAFETY: live books and report that `&mut self` keeps others from; an array of that length.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_set_identity(books, raw.as_ptr(), raw.len(), said)
        })
    }

    /// The guest may read the config space from here on. The first request does it, too.
    pub fn freeze(&mut self) -> Result<Report> {
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change_noting(|books, said| unsafe { sys::iovageom_viommu_freeze(books, said) })
    }

    /// Undo freeze: the next guest reads the config space anew. After a system reset.
    pub fn thaw(&mut self) -> Result<()> {
        // SAFETY: live books that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_viommu_thaw(self.raw.as_ptr()) })
    }

    pub fn frozen(&self) -> bool {
        // SAFETY: live books, which the call does not change.
        unsafe { sys::iovageom_viommu_frozen(self.as_ptr()) }
    }

    /// The config space: as it was frozen, or as freezing now would make it.
    pub fn config_space(&self) -> Result<ConfigSpace> {
        let mut raw = sys::iovageom_virtio_config::default();
        let mut bytes = [0; 40];
        // SAFETY: live books, which the call does not change, and room for the answer.
        plain(unsafe { sys::iovageom_viommu_config_space(self.as_ptr(), &mut raw) })?;
        // SAFETY: a config space, and room for its 40 bytes.
        plain(unsafe { sys::iovageom_virtio_encode_config(&raw, bytes.as_mut_ptr()) })?;
        Ok(ConfigSpace {
            page_size_mask: raw.page_size_mask,
            input_range: range_of(raw.input_range),
            domain_range: raw.domain_start..=raw.domain_last,
            probe_size: raw.probe_size,
            bypass: raw.bypass != 0,
            bytes,
        })
    }

    /// What the driver has accepted, of [`features`](crate::features): call it before the driver's first request. It
    /// is refused, and then nothing has changed, when such a driver could not be told what a device
    /// can't map: answer FEATURES_OK or the activation with an error.
    pub fn driver_features(&mut self, accepted: u32) -> Result<()> {
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change(|books, said| unsafe {
            sys::iovageom_viommu_driver_features(books, accepted, said)
        })
    }

    /// The guest writes the config field `bypass`.
    pub fn set_bypass(&mut self, bypass: bool) -> Result<()> {
        let value = u32::from(bypass);
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change(|books, said| unsafe { sys::iovageom_viommu_set_bypass(books, value, said) })
    }

    /// Domains, mappings and promises are gone; devices stay. `system`: the machine is reset.
    pub fn reset(&mut self, system: bool) {
        // SAFETY: live books that `&mut self` keeps others from.
        unsafe { sys::iovageom_viommu_reset(self.raw.as_ptr(), system) }
    }

    /// An endpoint without a host, or a place for a device to come.
    pub fn declare(
        &mut self,
        endpoint: u32,
        what: Declared,
        guest_group: Option<u64>,
    ) -> Result<Report> {
        let kind = match what {
            Declared::Emulated => sys::IOVAGEOM_ENDPOINT_EMULATED,
            Declared::Slot => sys::IOVAGEOM_ENDPOINT_SLOT,
        };
        let group = guest_group.unwrap_or(u64::MAX);
        // SAFETY: live books and report that `&mut self` keeps others from.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_declare(books, endpoint, group, kind, said)
        })
    }

    pub fn undeclare(&mut self, endpoint: u32) -> Result<()> {
        // SAFETY: live books that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_viommu_undeclare(self.raw.as_ptr(), endpoint) })
    }

    /// Admit a device, or say every obstacle: then nothing has changed. `geometry` is what its
    /// container or IOAS says once the device is in it.
    pub fn plug(
        &mut self,
        endpoint: u32,
        options: &PlugOptions,
        geometry: &Geometry,
    ) -> Result<Report> {
        let options = raw_options(options);
        // SAFETY: live books and report that `&mut self` keeps others from; the options, their
        // aliases and the geometry outlive the call, which keeps none of them.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_plug(books, endpoint, &options, geometry.as_ptr(), said)
        })
    }

    /// Whether plug would succeed, memory aside.
    pub fn plug_check(
        &self,
        endpoint: u32,
        options: &PlugOptions,
        geometry: &Geometry,
    ) -> Result<Report> {
        let options = raw_options(options);
        // SAFETY: live books, which the call does not change; the rest outlives it.
        self.ask(|books, said| unsafe {
            sys::iovageom_viommu_plug_check(books, endpoint, &options, geometry.as_ptr(), said)
        })
    }

    /// Plug in two steps: after this one, what the device reserves is reserved, but the guest can't
    /// reach its endpoint before [`Viommu::plug_commit`].
    pub fn plug_prepare(
        &mut self,
        endpoint: u32,
        options: &PlugOptions,
        geometry: &Geometry,
    ) -> Result<Report> {
        let options = raw_options(options);
        // SAFETY: as in `plug`.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_plug_prepare(books, endpoint, &options, geometry.as_ptr(), said)
        })
    }

    /// Fails only for an endpoint that is not prepared.
    pub fn plug_commit(&mut self, endpoint: u32) -> Result<()> {
        // SAFETY: live books that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_viommu_plug_commit(self.raw.as_ptr(), endpoint) })
    }

    /// Fails only for an endpoint that is not prepared.
    pub fn plug_abort(&mut self, endpoint: u32) -> Result<()> {
        // SAFETY: live books that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_viommu_plug_abort(self.raw.as_ptr(), endpoint) })
    }

    /// The host says something new of a plugged device.
    pub fn update(
        &mut self,
        endpoint: u32,
        geometry: &Geometry,
        allow_stale: bool,
    ) -> Result<Report> {
        let flags = if allow_stale { sys::IOVAGEOM_PLUG_ALLOW_STALE } else { 0 };
        // SAFETY: live books and report that `&mut self` keeps others from, and a live geometry.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_update(books, endpoint, geometry.as_ptr(), flags, said)
        })
    }

    /// The device is gone, and what it reserved with it. What was promised stays promised.
    pub fn unplug(&mut self, endpoint: u32) -> Result<()> {
        // SAFETY: live books that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_viommu_unplug(self.raw.as_ptr(), endpoint) })
    }

    /// What a PROBE of the endpoint would be answered now. It makes no promise.
    pub fn told(&self, endpoint: u32) -> Result<Vec<Region>> {
        let raw = filled(|out, capacity, needed| {
            // SAFETY: live books, which the call does not change, and room for `capacity` regions.
            unsafe {
                sys::iovageom_viommu_told(
                    self.as_ptr(),
                    endpoint,
                    out,
                    capacity,
                    needed,
                    ptr::null_mut(),
                )
            }
        })?;
        let region = |raw: sys::iovageom_region| Region {
            range: range_of(raw.range),
            resv_type: ResvType::from_raw(raw.type_),
            owner: None,
        };
        Ok(raw.into_iter().map(region).collect())
    }

    /// What a guest was promised for an endpoint, and whether it still holds.
    pub fn promise(&self, endpoint: u32) -> Result<Promise> {
        let (mut added, mut removed) = (RangeSet::new(), RangeSet::new());
        let mut raw = sys::iovageom_viommu_promise::default();
        // SAFETY: live books, which the call does not change, room for the answer, two live sets, and
        // NULL for those that are not asked for.
        plain(unsafe {
            sys::iovageom_viommu_promise(
                self.as_ptr(),
                endpoint,
                &mut raw,
                ptr::null_mut(),
                ptr::null_mut(),
                added.as_mut(),
                removed.as_mut(),
            )
        })?;
        Ok(Promise { told: raw.told, current: raw.current, safe: raw.safe, removed, added })
    }

    /// What a guest relies on, as bytes for a migration stream or a snapshot.
    pub fn save(&self) -> Result<Vec<u8>> {
        saved(|buffer, size, needed| {
            // SAFETY: live books, which the call does not change, and a buffer of `size` bytes.
            unsafe { sys::iovageom_viommu_save(self.as_ptr(), buffer, size, needed) }
        })
    }

    /// Take over what [`Viommu::save`] wrote, into books that have seen no guest. Takes any bytes.
    /// With `expect_devices`, devices may come later, and each is judged when it is plugged; else all
    /// are here.
    pub fn load(&mut self, bytes: &[u8], expect_devices: bool) -> Result<Report> {
        self.load_with(bytes, if expect_devices { sys::IOVAGEOM_LOAD_EXPECT_DEVICES } else { 0 })
    }

    /// Whether load would succeed. It needs the books alone: they are changed, and changed back.
    pub fn load_check(&mut self, bytes: &[u8], expect_devices: bool) -> Result<Report> {
        let expect = if expect_devices { sys::IOVAGEOM_LOAD_EXPECT_DEVICES } else { 0 };
        self.load_with(bytes, expect | sys::IOVAGEOM_LOAD_CHECK)
    }

    fn load_with(&mut self, bytes: &[u8], flags: u32) -> Result<Report> {
        // SAFETY: live books and report that `&mut self` keeps others from; the bytes outlive the call.
        self.change_noting(|books, said| unsafe {
            sys::iovageom_viommu_load(books, bytes.as_ptr().cast(), bytes.len(), flags, said)
        })
    }
}
