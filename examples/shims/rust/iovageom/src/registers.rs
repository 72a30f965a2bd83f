// SPDX-License-Identifier: BSD-3-Clause
//! What an IOMMU's registers allow: for before a device can be asked, and to see whether what VFIO or
//! iommufd says contradicts them ([`Geometry::check`]).

use std::ptr;

use iovageom_sys as sys;

use crate::report::plain;
use crate::{Geometry, Result, Source};

/// Which of its two stages of translation an IOMMU uses for a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// What Linux uses for a device of VFIO or iommufd, unless it is asked for the other one.
    #[default]
    Default,
    /// VT-d first stage, SMMUv3 stage 1, AMD v2.
    First,
    /// VT-d second stage, SMMUv3 stage 2, AMD v1.
    Second,
}

impl Stage {
    fn raw(self) -> sys::iovageom_host_stage {
        match self {
            Stage::Default => sys::IOVAGEOM_STAGE_DEFAULT,
            Stage::First => sys::IOVAGEOM_STAGE_FIRST,
            Stage::Second => sys::IOVAGEOM_STAGE_SECOND,
        }
    }
}

/// The kernel whose rules are meant, where software has a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Linux {
    /// Not known: what holds by the rules of all that were read.
    #[default]
    Any,
    V6_1,
    V6_12,
    V7_3,
}

impl Linux {
    fn raw(self) -> u32 {
        match self {
            Linux::Any => sys::IOVAGEOM_LINUX_ANY,
            Linux::V6_1 => sys::IOVAGEOM_LINUX_6_1,
            Linux::V6_12 => sys::IOVAGEOM_LINUX_6_12,
            Linux::V7_3 => sys::IOVAGEOM_LINUX_7_3,
        }
    }
}

/// What a set of registers allows.
///
/// ```
/// # fn main() -> iovageom::Result<()> {
/// use iovageom::{Geometry, HostLimits, Linux, Stage};
///
/// // class/iommu/dmar0/intel-iommu/cap and ecap of an IOMMU with 39 bits
/// let cap = iovageom::sysfs_register("1c0000c40660462\n")?;
/// let limits = HostLimits::vtd(cap, 0x7e_3ff0_505e, false, Stage::Default, Linux::Any)?;
/// assert_eq!(limits.gaw, 39);
/// let mut host = Geometry::new("dmar0")?;
/// host.add_limits(&limits)?;
/// assert_eq!(host.gaw()?, Some(39));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    pub source: Source,
    /// Guest address width in bits.
    pub gaw: u32,
    pub page_sizes: u64,
    /// The answer depends on what was not said: it is what holds in all cases, and the kernel at
    /// hand may map more.
    pub depends: bool,
}

impl HostLimits {
    fn of(call: impl FnOnce(*mut sys::iovageom_host_limits) -> i32) -> Result<HostLimits> {
        let mut raw = sys::iovageom_host_limits::default();
        plain(call(&mut raw))?;
        Ok(HostLimits {
            source: Source::from_raw(raw.source),
            gaw: raw.gaw,
            page_sizes: raw.page_sizes,
            depends: raw.depends != 0,
        })
    }

    /// VT-d CAP and ECAP. `scalable`: the kernel runs the IOMMU in scalable mode.
    pub fn vtd(cap: u64, ecap: u64, scalable: bool, stage: Stage, linux: Linux) -> Result<Self> {
        // SAFETY: numbers by value, and room for the answer.
        HostLimits::of(|out| unsafe {
            sys::iovageom_host_vtd(cap, ecap, scalable, stage.raw(), linux.raw(), out)
        })
    }

    /// SMMUv3 IDR0 and IDR5. `granule` in bytes and the width of the kernel's virtual addresses in
    /// bits; 0 where that is not known.
    pub fn smmuv3(
        idr0: u32,
        idr5: u32,
        granule: u64,
        va_bits: u32,
        stage: Stage,
        linux: Linux,
    ) -> Result<Self> {
        // SAFETY: numbers by value, and room for the answer.
        HostLimits::of(|out| unsafe {
            let (stage, linux) = (stage.raw(), linux.raw());
            sys::iovageom_host_smmuv3(idr0, idr5, granule, va_bits, stage, linux, out)
        })
    }

    /// AMD-Vi's extended feature register. `cpu_levels`: 4, 5, or 0 where that is not known.
    pub fn amd(efr: u64, stage: Stage, cpu_levels: u32, linux: Linux) -> Result<Self> {
        // SAFETY: numbers by value, and room for the answer.
        HostLimits::of(|out| unsafe {
            sys::iovageom_host_amd(efr, stage.raw(), cpu_levels, linux.raw(), out)
        })
    }
}

/// What IOMMU_GET_HW_INFO has answered: registers for [`HostLimits`]. `None` is "not there, or the kernel doesn't say".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HwInfo {
    /// Bytes that the kernel has for this type, whatever was asked for.
    pub full_length: u64,
    /// The IOMMU can track what is written to (IOMMU_HWPT_GET_DIRTY_BITMAP).
    pub dirty_tracking: Option<bool>,
    /// CAP and ECAP.
    pub vtd: Option<(u64, u64)>,
    /// IDR0 to IDR5.
    pub smmuv3: Option<[u32; 6]>,
    /// EFR.
    pub amd: Option<u64>,
    /// Width of a PASID in bits.
    pub pasid_bits: Option<u32>,
}

impl HwInfo {
    /// `header` is struct iommu_hw_info after the ioctl, `data` what its data_uptr points to. Takes
    /// any bytes.
    pub fn decode(header: &[u8], data: &[u8]) -> Result<HwInfo> {
        let mut raw = sys::iovageom_hw_info::default();
        // SAFETY: that many bytes each, and room for the answer.
        plain(unsafe {
            sys::iovageom_host_iommufd_hw_info(
                header.as_ptr().cast(),
                header.len(),
                data.as_ptr().cast(),
                data.len(),
                &mut raw,
            )
        })?;
        let knows = |fact: u32| raw.knows & fact == fact;
        let vtd = sys::IOVAGEOM_HW_INFO_VTD_CAP | sys::IOVAGEOM_HW_INFO_VTD_ECAP;
        let dirty = raw.capabilities & u64::from(sys::IOVAGEOM_HW_CAP_DIRTY_TRACKING) != 0;
        Ok(HwInfo {
            full_length: raw.full_length,
            dirty_tracking: knows(sys::IOVAGEOM_HW_INFO_CAPABILITIES).then_some(dirty),
            vtd: knows(vtd).then_some((raw.vtd_cap, raw.vtd_ecap)),
            smmuv3: knows(sys::IOVAGEOM_HW_INFO_SMMUV3_IDR).then_some(raw.smmuv3_idr),
            amd: knows(sys::IOVAGEOM_HW_INFO_AMD_EFR).then_some(raw.amd_efr),
            pasid_bits: knows(sys::IOVAGEOM_HW_INFO_PASID).then_some(raw.pasid_bits),
        })
    }
}

/// One register as sysfs prints it: class/iommu/dmar0/intel-iommu/cap and ecap.
pub fn sysfs_register(text: &str) -> Result<u64> {
    let mut value = 0;
    // SAFETY: a text of that length, and room for the answer.
    plain(unsafe {
        sys::iovageom_host_sysfs_register(text.as_ptr().cast(), text.len(), &mut value)
    })?;
    Ok(value)
}

/// EFR out of class/iommu/ivhd0/amd-iommu/features, in whichever order a kernel prints it.
pub fn sysfs_amd_features(text: &str) -> Result<u64> {
    let mut efr = 0;
    // SAFETY: a text of that length, and room for the answer; the second register is not asked for.
    plain(unsafe {
        sys::iovageom_host_sysfs_amd_features(
            text.as_ptr().cast(),
            text.len(),
            &mut efr,
            ptr::null_mut(),
        )
    })?;
    Ok(efr)
}

impl Geometry {
    /// Adds the width and the page sizes that registers allow.
    pub fn add_limits(&mut self, limits: &HostLimits) -> Result<()> {
        let raw = sys::iovageom_host_limits {
            source: limits.source.raw(),
            gaw: limits.gaw,
            page_sizes: limits.page_sizes,
            depends: u32::from(limits.depends),
        };
        // SAFETY: limits that outlive the call, and a live geometry that `&mut self` keeps others from.
        plain(unsafe { sys::iovageom_host_limits_add(&raw, self.as_mut()) })
    }
}
