// SPDX-License-Identifier: BSD-3-Clause
//! Questions before there is a guest: does its memory fit the host, and what can a whole pool do?

use std::ffi::CStr;
use std::fmt;
use std::ops::RangeInclusive;
use std::ptr;

use iovageom_sys as sys;

use crate::range::{range_of, raw_range};
use crate::report::{c_name, plain, Raw};
use crate::{Error, Geometry, Report, Result, Status};

/// What a piece of a guest's physical layout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PieceKind {
    /// All of it is pinned while a device bypasses.
    Ram,
    /// Registers of a device, mapped for peer-to-peer DMA.
    Bar,
    /// The guest's MSI doorbells, which may also lie where the host has its own.
    Msi,
}

/// A piece of a guest's physical layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub kind: PieceKind,
    pub range: RangeInclusive<u64>,
    /// Where it may go instead; `None` for a piece that is fixed where it is.
    pub limits: Option<RangeInclusive<u64>>,
    /// Parts of it may stay while others move: for RAM that may move.
    pub splittable: bool,
    /// Of its start when it moves whole, in bytes; `None`: a BAR's size, else none.
    pub alignment: Option<u64>,
}

impl Piece {
    /// RAM that is fixed where it is.
    pub fn ram(range: RangeInclusive<u64>) -> Piece {
        Piece { kind: PieceKind::Ram, range, limits: None, splittable: false, alignment: None }
    }

    /// RAM of which parts may go anywhere, for they are told by a map.
    pub fn movable_ram(range: RangeInclusive<u64>) -> Piece {
        Piece { limits: Some(0..=u64::MAX), splittable: true, ..Piece::ram(range) }
    }

    /// A BAR that may go where the guest's bridges decode.
    pub fn bar(range: RangeInclusive<u64>, limits: RangeInclusive<u64>) -> Piece {
        Piece { kind: PieceKind::Bar, limits: Some(limits), ..Piece::ram(range) }
    }

    /// How many mappings the RAM of a layout makes when it is mapped in steps of `chunk` bytes, a power
    /// of two, each at a multiple of that; `u64::MAX` for more.
    pub fn ram_in_chunks(pieces: &[Piece], chunk: u64) -> Result<u64> {
        let raw: Vec<_> = pieces.iter().map(Piece::raw).collect();
        let mut mappings = 0;
        // SAFETY: an array of that length, and room for the answer.
        plain(unsafe {
            sys::iovageom_plan_layout_chunks(raw.as_ptr(), raw.len(), chunk, &mut mappings)
        })?;
        Ok(mappings)
    }

    fn raw(&self) -> sys::iovageom_piece {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        sys::iovageom_piece {
            range: raw_range(&self.range),
            kind: match self.kind {
                PieceKind::Ram => sys::IOVAGEOM_PIECE_RAM,
                PieceKind::Bar => sys::IOVAGEOM_PIECE_BAR,
                PieceKind::Msi => sys::IOVAGEOM_PIECE_MSI,
            },
            flags: flag(self.limits.is_some(), sys::IOVAGEOM_PIECE_MOVABLE)
                | flag(self.splittable, sys::IOVAGEOM_PIECE_SPLITTABLE),
            alignment: self.alignment.unwrap_or(0),
            limits: raw_range(self.limits.as_ref().unwrap_or(&(0..=u64::MAX))),
        }
    }
}

/// A piece, or a part of it, that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its index.
    pub piece: usize,
    pub from: RangeInclusive<u64>,
    /// Of the same size.
    pub to: RangeInclusive<u64>,
}

/// Whether a layout maps one to one, and what would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    pub outcome: Outcome,
    /// The moves that are proposed.
    pub placements: Vec<Placement>,
    /// Pieces that the host refuses where they are, and those of them for which no place was found.
    pub misfits: usize,
    pub stuck: usize,
    /// Mappings that are needed, and what a guest may need that maps granule by granule; for larger
    /// steps see [`Piece::ram_in_chunks`].
    pub mappings: u64,
    pub page_mappings: u64,
    /// `None`: the host does not say.
    pub budget: Option<u64>,
    /// Bytes of RAM, all of which a bypass pins.
    pub pinned: u128,
    /// Bytes that move.
    pub moved: u128,
    /// Who forbids what, and notes.
    pub report: Report,
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It maps as it is.
    Fits,
    /// It maps once the proposed moves are made.
    Solved,
    /// For some pieces no place was found.
    Stuck,
    /// Every piece has a place, but there are too many mappings.
    OverBudget,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = match self {
            Outcome::Fits => sys::IOVAGEOM_LAYOUT_FITS,
            Outcome::Solved => sys::IOVAGEOM_LAYOUT_SOLVED,
            Outcome::Stuck => sys::IOVAGEOM_LAYOUT_STUCK,
            Outcome::OverBudget => sys::IOVAGEOM_LAYOUT_OVER_BUDGET,
        };
        // SAFETY: any number has a sentence: static text, never NULL, that ends with NUL.
        let text = unsafe { CStr::from_ptr(sys::iovageom_layout_outcome_string(raw)) };
        formatter.write_str(&text.to_string_lossy())
    }
}

fn bytes(size: sys::iovageom_size) -> u128 {
    u128::from(size.hi) << 64 | u128::from(size.lo)
}

impl Geometry {
    /// Checks a guest's physical layout, and proposes the smallest change that makes it fit: what a
    /// passed-through device needs without a virtual IOMMU, or while firmware boots in bypass.
    ///
    /// ```
    /// # fn main() -> iovageom::Result<()> {
    /// use iovageom::{Geometry, Outcome, Piece, Source};
    ///
    /// let mut host = Geometry::new("0000:3b:00.0")?;
    /// // AMD's hole below 1 TiB.
    /// host.add_usable(&[0..=0xfedf_ffff, 0xfef0_0000..=0xfc_ffff_ffff, 1 << 40..=(1 << 48) - 1],
    ///     Source::Vfio)?;
    /// host.add_page_sizes(0x1000, Source::Vfio)?;
    /// let ram = [Piece::ram(0..=0x7fff_ffff), Piece::movable_ram(1 << 32..=(1 << 40) - 1)];
    /// let layout = host.layout(None, &ram)?;
    /// assert_eq!(layout.outcome, Outcome::Solved);
    /// assert_eq!(layout.placements[0].from, 0xfd_0000_0000..=0xff_ffff_ffff);
    /// assert_eq!(layout.placements[0].to, 1 << 40..=(1 << 40) + 0x2_ffff_ffff);
    /// # Ok(())
    /// # }
    /// ```
    pub fn layout(&self, granule: Option<u64>, pieces: &[Piece]) -> Result<Layout> {
        let raw: Vec<_> = pieces.iter().map(Piece::raw).collect();
        let mut plan = sys::iovageom_layout_plan::default();
        let mut out = vec![sys::iovageom_placement::default(); 4 * raw.len() + 4];
        loop {
            let mut report = Raw::new();
            // SAFETY: a live geometry and report, arrays of these lengths, and room for the plan.
            let rc = unsafe {
                sys::iovageom_plan_layout(
                    ptr::null(),
                    self.as_ptr(),
                    granule.unwrap_or(0),
                    raw.as_ptr(),
                    raw.len(),
                    out.as_mut_ptr(),
                    out.len(),
                    &mut plan,
                    report.as_mut(),
                )
            };
            let planned = [sys::IOVAGEOM_ERR_CONFLICT, sys::IOVAGEOM_ERR_LIMIT].contains(&rc);
            if !planned {
                report.outcome(rc)?;
            }
            if plan.placements <= out.len() {
                out.truncate(plan.placements);
                return layout_of(&plan, &out, report.read());
            }
            out.resize(plan.placements, sys::iovageom_placement::default());
        }
    }
}

fn layout_of(
    plan: &sys::iovageom_layout_plan,
    moves: &[sys::iovageom_placement],
    report: Report,
) -> Result<Layout> {
    let outcome = match plan.outcome {
        sys::IOVAGEOM_LAYOUT_FITS => Outcome::Fits,
        sys::IOVAGEOM_LAYOUT_SOLVED => Outcome::Solved,
        sys::IOVAGEOM_LAYOUT_STUCK => Outcome::Stuck,
        sys::IOVAGEOM_LAYOUT_OVER_BUDGET => Outcome::OverBudget,
        _ => return Err(Error::new(Status::Unsupported, "an outcome of a newer library")),
    };
    let placement = |raw: &sys::iovageom_placement| Placement {
        piece: raw.piece,
        from: range_of(raw.from),
        to: range_of(raw.to),
    };
    Ok(Layout {
        outcome,
        placements: moves.iter().map(placement).collect(),
        misfits: plan.misfits,
        stuck: plan.stuck,
        mappings: plan.mappings,
        page_mappings: plan.page_mappings,
        budget: (plan.budget != u64::MAX).then_some(plan.budget),
        pinned: bytes(plan.pinned),
        moved: bytes(plan.moved),
        report,
    })
}

/// What a whole pool can do: a guest that is told this from the start fits wherever it goes.
///
/// ```
/// # fn main() -> iovageom::Result<()> {
/// use iovageom::{Config, Envelope, Geometry, Source, Viommu};
///
/// let mut wide = Geometry::new("node-1")?;
/// wide.add_gaw(48, Source::Vfio)?;
/// let mut narrow = Geometry::new("node-2")?;
/// narrow.add_gaw(39, Source::Vfio)?;
/// let pool = Envelope::of("pool", &[&wide, &narrow])?;
/// assert_eq!((pool.gaw, pool.gaw_host), (39, Some(1)));
/// assert_eq!(pool.refusing(1 << 39..=1 << 40), [1]);
/// // Every device to come can map at least that.
/// Viommu::new(&Config::default())?.set_envelope(Some(&pool.geometry))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// The meet of all of them.
    pub geometry: Geometry,
    pub input_range: RangeInclusive<u64>,
    /// In bits.
    pub gaw: u32,
    /// `None`: no host says.
    pub granule: Option<u64>,
    pub page_size_mask: Option<u64>,
    pub map_budget: Option<u64>,
    /// The first host with the least width, the largest granule, the smallest budget.
    pub gaw_host: Option<usize>,
    pub granule_host: Option<usize>,
    pub map_budget_host: Option<usize>,
    /// What hosts do not say, and devices that can't be assigned.
    pub report: Report,
    hosts: Vec<&'a Geometry>,
}

impl<'a> Envelope<'a> {
    /// The meet of a pool, named so in messages. Refused when nothing is usable on all of them.
    pub fn of(name: &str, hosts: &[&'a Geometry]) -> Result<Envelope<'a>> {
        let name = c_name(name)?;
        let list: Vec<_> = hosts.iter().map(|host| host.as_ptr()).collect();
        let mut raw = sys::iovageom_envelope::default();
        let mut report = Raw::new();
        let geometry = Geometry::made_saying(&mut report, |out, said| {
            // SAFETY: live geometries, a text that ends with NUL, a live report, and room for the
            // figures and a pointer.
            unsafe {
                sys::iovageom_plan_envelope(
                    ptr::null(),
                    list.as_ptr(),
                    list.len(),
                    name.as_ptr(),
                    &mut raw,
                    out,
                    said,
                )
            }
        })?;
        let host = |index: usize| (index < hosts.len()).then_some(index);
        Ok(Envelope {
            geometry,
            input_range: range_of(raw.input_range),
            gaw: raw.gaw,
            granule: (raw.granule != 0).then_some(raw.granule),
            page_size_mask: (raw.page_size_mask != 0).then_some(raw.page_size_mask),
            map_budget: (raw.map_budget != u64::MAX).then_some(raw.map_budget),
            gaw_host: host(raw.gaw_host),
            granule_host: host(raw.granule_host),
            map_budget_host: host(raw.map_budget_host),
            report: report.read(),
            hosts: hosts.to_vec(),
        })
    }

    /// The hosts that refuse a mapping of `range`, by index.
    pub fn refusing(&self, range: RangeInclusive<u64>) -> Vec<usize> {
        let refuses = |index: &usize| !self.hosts[*index].accepts(range.clone());
        (0..self.hosts.len()).filter(refuses).collect()
    }
}
