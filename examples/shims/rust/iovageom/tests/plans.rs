// SPDX-License-Identifier: BSD-3-Clause
//! Covers and bitmaps, layouts, pools, and what registers say.

use std::ops::RangeInclusive;

use iovageom::{
    sysfs_amd_features, sysfs_register, Access, Config, Cover, Declared, DirtyBitmap, Envelope,
    Fault, Geometry, HostLimits, HwInfo, Linux, Mapping, Outcome, Piece, PieceKind, RangeSet,
    ResvType, Segment, Source, Stage, Status, Viommu,
};

const TOP: u64 = u64::MAX;

fn books(mappings: &[(RangeInclusive<u64>, u64)]) -> Viommu {
    let mut books = Viommu::new(&Config::default()).unwrap();
    books.declare(8, Declared::Emulated, None).unwrap();
    books.attach(1, 8, 0).unwrap();
    for (range, phys) in mappings {
        books.map(1, range.clone(), *phys, Access::READ | Access::WRITE).unwrap();
    }
    books
}

fn list(cover: &Cover) -> Vec<RangeInclusive<u64>> {
    cover.iter().collect()
}

/// What every cover must be: ascending, apart, few, and over all of the list.
fn is_cover(cover: &Cover, of: &[RangeInclusive<u64>], most: usize) {
    let ranges = list(cover);
    assert!(ranges.len() <= most, "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].end() < pair[1].start()), "{ranges:?}");
    for range in of {
        let inside =
            |out: &RangeInclusive<u64>| out.start() <= range.start() && range.end() <= out.end();
        assert!(ranges.iter().any(inside), "{range:?} is not in {ranges:?}");
    }
}

#[test]
fn a_cover_follows_the_guest_through_map_and_unmap() {
    let mut mapped: Vec<_> = (1..60_u64).map(|n| (n * n) << 20..=((n * n) << 20) + 0xfff).collect();
    for most in [1, 2, 7, 58, 59, 1000] {
        let mut cover = Cover::new(&mapped, 4096, most).unwrap();
        is_cover(&cover, &mapped, most);
        assert_eq!(cover.excess() == 0, most >= 59);
        assert_eq!((cover.len(), cover.is_empty()), (most.min(59), false));
        let before = cover.clone();
        assert!(!cover.map(mapped[7].clone()).unwrap());
        assert_eq!(cover, before);
        assert!(cover.map(TOP - 0xfff..=TOP).unwrap());
        mapped.push(TOP - 0xfff..=TOP);
        is_cover(&cover, &mapped, most);
        mapped.pop();
        cover.unmap(TOP - 0xfff..=TOP).unwrap();
        is_cover(&cover, &mapped, most);
    }
    // Nothing is a cover of nothing, and grows from there.
    let mut cover = Cover::new(&[], 4096, 1).unwrap();
    assert!(cover.is_empty());
    assert!(cover.map(0x1001..=0x1001).unwrap());
    assert_eq!(list(&cover), [0x1000..=0x1fff]);
    assert!(cover.unmap(0x1000..=0x1fff).unwrap());
    assert!(cover.is_empty());
    // All addresses are one range.
    assert_eq!(list(&Cover::new(&[0..=TOP], 4096, 1).unwrap()), [0..=TOP]);
}

#[test]
fn a_cover_is_refused_what_makes_no_sense_and_stays_as_it_was() {
    for (ranges, granule, most) in [
        (vec![0..=0xfff], 3, 1),
        (vec![0..=0xfff], 0, 1),
        (vec![0..=0xfff], 4096, 0),
        (vec![0x2000..=0x2fff, 0..=0xfff], 4096, 2),
        (vec![0..=0x1fff, 0x1000..=0x2fff], 4096, 2),
    ] {
        assert!(Cover::new(&ranges, granule, most).is_err(), "{ranges:?} {granule} {most}");
    }
    let mut cover = Cover::new(&[0..=0xfff], 4096, 2).unwrap();
    #[allow(clippy::reversed_empty_ranges)]
    let empty = 5..=4;
    assert_eq!(cover.map(empty.clone()).unwrap_err().status(), Status::Inverted);
    assert_eq!(cover.unmap(empty).unwrap_err().status(), Status::Inverted);
    assert_eq!(list(&cover), [0..=0xfff]);
}

#[test]
fn bits_mean_what_the_mappings_say() {
    let books = books(&[
        (0x1000..=0x2fff, 0x10_0000),
        (0x3000..=0x3fff, 0x10_2000),
        (0x5000..=0x5fff, 0x80_0000),
    ]);
    let bitmap = |words, start, pages| DirtyBitmap { words, start, page: 4096, pages };
    // Pages 1 to 3 of guest memory follow each other; page 4 is not mapped; page 5 is.
    assert_eq!(
        books.dirty(1, &bitmap(&[0b11_1111], 0, 6)).unwrap(),
        [0x10_0000..=0x10_2fff, 0x80_0000..=0x80_0fff]
    );
    // A bitmap that begins inside a mapping, and one of which the last bits don't count.
    assert_eq!(books.dirty(1, &bitmap(&[1], 0x2000, 1)).unwrap(), [0x10_1000..=0x10_1fff]);
    assert_eq!(books.dirty(1, &bitmap(&[TOP], 0x5000, 1)).unwrap(), [0x80_0000..=0x80_0fff]);
    for nothing in [bitmap(&[0], 0, 64), bitmap(&[TOP], 1 << 40, 64), bitmap(&[], 0, 0)] {
        assert!(books.dirty(1, &nothing).unwrap().is_empty());
    }
    assert!(books.dirty(77, &bitmap(&[TOP], 0, 64)).unwrap().is_empty());
    // The end of the address space, and what would be beyond it.
    let last = TOP - 0xfff;
    assert!(books.dirty(1, &bitmap(&[1], last, 1)).unwrap().is_empty());
    for (hostile, status) in [
        (bitmap(&[1], last, 2), Status::Invalid),
        (bitmap(&[1], 1, 1), Status::Invalid),
        (bitmap(&[1], 0, 65), Status::Invalid),
        (bitmap(&[1], 0, TOP), Status::Invalid),
        (DirtyBitmap { words: &[1], start: 0, page: 0, pages: 1 }, Status::Invalid),
        (DirtyBitmap { words: &[1], start: 0, page: 3, pages: 1 }, Status::Invalid),
        (DirtyBitmap { words: &[1], start: 0, page: 1 << 63, pages: 3 }, Status::Invalid),
    ] {
        assert_eq!(books.dirty(1, &hostile).unwrap_err().status(), status, "{hostile:?}");
    }
    let wraps = Mapping { range: 0..=0xffff, phys: TOP - 0xfff, access: Access::WRITE };
    let refused = bitmap(&[TOP], 0, 16).memory(&[wraps]).unwrap_err();
    assert_eq!(refused.status(), Status::Overflow);
}

/// A device writes at random while the guest maps and unmaps: no page that it wrote to is lost.
#[test]
fn a_migration_loses_no_page() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    let mut books = books(&[]);
    let mut cover = books.cover(1, 4096, 3).unwrap();
    let (mut written, mut fetched) = (RangeSet::new(), RangeSet::new());
    // What the device has logged since it was asked last, by IOVA.
    let mut log: Vec<u64> = Vec::new();
    let fetch = |books: &Viommu, log: &mut Vec<u64>, fetched: &mut RangeSet| {
        for page in log.drain(..) {
            let bitmap = DirtyBitmap { words: &[1], start: page << 12, page: 4096, pages: 1 };
            for memory in books.dirty(1, &bitmap).unwrap() {
                fetched.insert(memory).unwrap();
            }
        }
    };
    for turn in 0..2000 {
        let page = random(64);
        let iova = page << 12..=(page << 12) + 0xfff;
        let there = books.mappings(1, *iova.start()).next().filter(|found| found.range == iova);
        match there {
            None => {
                books.map(1, iova.clone(), random(1 << 20) << 12, Access::WRITE).unwrap();
                if cover.map(iova).unwrap() {
                    fetch(&books, &mut log, &mut fetched);
                }
            }
            Some(_) if random(3) == 0 => {
                fetch(&books, &mut log, &mut fetched);
                books.unmap(1, iova.clone()).unwrap();
                cover.unmap(iova).unwrap();
            }
            Some(mapping) => {
                assert!(cover.iter().any(|range| range.contains(iova.start())), "turn {turn}");
                log.push(page);
                written.insert(mapping.phys..=mapping.phys + 0xfff).unwrap();
            }
        }
    }
    fetch(&books, &mut log, &mut fetched);
    assert!(written.len() > 100);
    assert_eq!(written, fetched);
}

#[test]
fn an_access_is_as_many_pieces_as_it_takes() {
    let pages: Vec<_> =
        (0..40_u64).map(|n| (n << 12..=(n << 12) + 0xfff, (100 - n) << 12)).collect();
    let books = books(&pages);
    let whole = books.segments(8, 0x800, 39 << 12, Access::READ).unwrap();
    assert_eq!(whole.len(), 40);
    assert_eq!((whole[0].phys(), whole[0].range()), ((100 << 12) + 0x800, 0x800..=0xfff));
    assert!(whole.windows(2).all(|pair| pair[0].range().end() + 1 == *pair[1].range().start()));
    assert_eq!(books.segments(8, 0, 1, Access::WRITE).unwrap().len(), 1);
    let fault =
        |address, size| books.segments(8, address, size, Access::READ).map(|_: Vec<Segment>| ());
    assert_eq!(fault(0, 0), Err(Fault::Range));
    assert_eq!(fault(TOP, 2), Err(Fault::Range));
    assert_eq!(fault(39 << 12, 0x1001), Err(Fault::Mapping { address: 40 << 12 }));
    assert_eq!(books.segments(9, 0, 1, Access::ANY).unwrap_err(), Fault::Domain);
}

fn amd_host() -> Geometry {
    let mut host = Geometry::new("0000:41:00.0").unwrap();
    let ranges = [0..=0xfedf_ffff, 0xfef0_0000..=0xfc_ffff_ffff, 1 << 40..=(1 << 48) - 1];
    host.add_usable(&ranges, Source::Vfio).unwrap();
    host.add_page_sizes(0x1000, Source::Vfio).unwrap();
    host
}

#[test]
fn a_layout_says_what_is_in_the_way() {
    let mut host = amd_host();
    let low = Piece::ram(0..=0x7fff_ffff);
    let fits = host.layout(None, std::slice::from_ref(&low)).unwrap();
    assert_eq!((fits.outcome, fits.pinned, fits.moved), (Outcome::Fits, 1 << 31, 0));
    assert!(fits.placements.is_empty());
    assert_eq!((fits.mappings, fits.page_mappings, fits.budget), (1, 1 << 19, None));

    // RAM that is fixed can't go anywhere.
    let fixed = Piece::ram(1 << 32..=(1 << 40) - 1);
    let stuck = host.layout(None, &[low.clone(), fixed]).unwrap();
    assert_eq!((stuck.outcome, stuck.misfits, stuck.stuck), (Outcome::Stuck, 1, 1));
    assert!(stuck.report.text().contains("0000:41:00.0"), "{}", stuck.report);
    // A BAR goes where its bridges decode, at a multiple of its size.
    let bar = Piece::bar(0xfd_0000_0000..=0xfd_3fff_ffff, 1 << 32..=(1 << 46) - 1);
    let solved = host.layout(Some(4096), &[low.clone(), bar]).unwrap();
    assert_eq!((solved.outcome, solved.moved), (Outcome::Solved, 1 << 30));
    assert_eq!(solved.placements[0].piece, 1);
    assert_eq!(*solved.placements[0].to.start() % (1 << 30), 0);
    // Doorbells may lie among the host's own.
    let mut msi = Piece::ram(0xfee0_0000..=0xfeef_ffff);
    msi.kind = PieceKind::Msi;
    host.add_reserved(0xfee0_0000..=0xfeef_ffff, ResvType::Msi, Source::Sysfs).unwrap();
    assert_eq!(host.layout(None, &[low.clone(), msi]).unwrap().outcome, Outcome::Fits);
    host.add_map_budget(0, Source::Vmm).unwrap();
    let many = host.layout(None, std::slice::from_ref(&low)).unwrap();
    assert_eq!((many.outcome, many.budget), (Outcome::OverBudget, Some(0)));
    assert!(many.outcome.to_string().contains("mappings"), "{}", many.outcome);
    // More moves than there was room for at first.
    let mut holes = Geometry::new("holes").unwrap();
    for n in 0..40 {
        let window = (n << 24) + 0x1000..=(n << 24) + 0x1fff;
        holes.add_reserved(window, ResvType::Reserved, Source::User).unwrap();
    }
    let moved = holes.layout(Some(4096), &[Piece::movable_ram(0..=(40 << 24) - 1)]).unwrap();
    assert_eq!((moved.outcome, moved.moved), (Outcome::Solved, 40 << 12));

    assert_eq!(
        host.layout(Some(3), std::slice::from_ref(&low)).unwrap_err().status(),
        Status::Invalid
    );
    let overlap = host.layout(None, &[low.clone(), low]).unwrap_err();
    assert_eq!(overlap.status(), Status::Overlap);
    #[allow(clippy::reversed_empty_ranges)]
    let inverted = Piece::ram(1..=0);
    assert_eq!(host.layout(None, &[inverted]).unwrap_err().status(), Status::Inverted);
    assert_eq!(host.layout(None, &[]).unwrap().outcome, Outcome::Fits);
}

#[test]
fn ram_is_counted_in_the_steps_of_a_guest() {
    let bar = Piece::bar(0xf000_0000..=0xf0ff_ffff, 0..=TOP);
    let pieces = [Piece::ram(0..=0x7fff_ffff), bar, Piece::ram(0x1_0000_0000..=0x1_0000_0fff)];
    assert_eq!(Piece::ram_in_chunks(&pieces, 2 << 20), Ok(1025));
    assert_eq!(Piece::ram_in_chunks(&pieces, 4096), Ok((1 << 19) + 1));
    assert_eq!(Piece::ram_in_chunks(&[Piece::ram(0..=TOP)], 1), Ok(TOP));
    assert_eq!(Piece::ram_in_chunks(&[], 4096), Ok(0));
    let refused =
        |pieces: &[Piece], chunk| Piece::ram_in_chunks(pieces, chunk).unwrap_err().status();
    assert_eq!(refused(&pieces, 3), Status::Invalid);
    #[allow(clippy::reversed_empty_ranges)]
    let inverted = Piece::ram(1..=0);
    assert_eq!(refused(&[inverted], 4096), Status::Inverted);
}

#[test]
fn a_pool_can_do_what_all_can() {
    let mut coarse = Geometry::new("coarse").unwrap();
    coarse.add_gaw(48, Source::Vfio).unwrap();
    coarse.add_page_sizes(0x1_0000, Source::Vfio).unwrap();
    coarse.add_map_budget(1000, Source::Vmm).unwrap();
    let mut narrow = Geometry::new("narrow").unwrap();
    narrow.add_gaw(39, Source::Vfio).unwrap();
    let silent = Geometry::new("silent").unwrap();
    let pool = Envelope::of("pool", &[&silent, &coarse, &narrow]).unwrap();
    assert_eq!((pool.gaw, pool.gaw_host), (39, Some(2)));
    assert_eq!((pool.granule, pool.granule_host), (Some(0x1_0000), Some(1)));
    assert_eq!((pool.map_budget, pool.map_budget_host), (Some(1000), Some(1)));
    assert_eq!(pool.input_range, 0..=0x7f_ffff_ffff);
    for host in [&narrow, &coarse] {
        assert_eq!(pool.geometry.meet(host, "no narrower").unwrap(), pool.geometry);
    }
    assert_eq!(pool.refusing(0..=1 << 50), [1, 2]);
    assert!(pool.refusing(0..=0xffff).is_empty());
    assert!(!pool.report.is_empty(), "one host says nothing");

    let nobody = Envelope::of("nobody", &[]).unwrap();
    assert_eq!((nobody.gaw_host, nobody.granule, nobody.map_budget), (None, None, None));
    let mut nothing = Geometry::new("nothing").unwrap();
    nothing.add_usable(&[], Source::Vfio).unwrap();
    let refused = Envelope::of("pool", &[&coarse, &nothing]).unwrap_err();
    assert_eq!(refused.status(), Status::NothingUsable);
    assert!(Envelope::of("a\0b", &[]).is_err());
    assert!(Envelope::of(&"x".repeat(200), &[]).is_err());
}

#[test]
fn registers_allow_what_they_allow() {
    let any = |limits: Result<HostLimits, iovageom::Error>| limits.unwrap();
    let vtd = any(HostLimits::vtd(0x01c0_000c_4066_0462, 0, false, Stage::Default, Linux::Any));
    assert_eq!((vtd.source, vtd.gaw), (Source::VtdRegisters, 39));
    let nothing = HostLimits::vtd(0, 0, false, Stage::Default, Linux::V6_12).unwrap_err();
    assert_eq!(nothing.status(), Status::Unsupported);
    // Stage 1, tables of AArch64, and the granules of IDR5.
    let smmu = any(HostLimits::smmuv3(0x0a, 0x75, 4096, 48, Stage::First, Linux::V7_3));
    assert_eq!((smmu.source, smmu.gaw), (Source::Smmuv3Registers, 48));
    let odd = HostLimits::smmuv3(0x0a, 0x75, 12345, 48, Stage::First, Linux::V7_3);
    assert_eq!(odd.unwrap_err().status(), Status::Invalid);
    let amd = any(HostLimits::amd(0x0000_0000_0000_0a5a | 1 << 6, Stage::Second, 0, Linux::V6_1));
    assert_eq!(amd.source, Source::AmdRegisters);
    assert_eq!(
        HostLimits::amd(0, Stage::Default, 0, Linux::Any).unwrap_err().status(),
        Status::Unknown
    );

    let mut host = Geometry::new("dmar0").unwrap();
    host.add_limits(&vtd).unwrap();
    assert_eq!(host.gaw().unwrap(), Some(39));
    assert!(host.knows().aperture && host.knows().page_sizes && !host.knows().usable);
    let wrong = HostLimits { gaw: 0, ..vtd };
    assert_eq!(host.add_limits(&wrong).unwrap_err().status(), Status::Invalid);
    // A kernel that maps more than its hardware can.
    host.add_usable(&[0..=(1 << 48) - 1], Source::Vfio).unwrap();
    assert_eq!(host.check().unwrap_err().status(), Status::Disagreement);

    assert_eq!(sysfs_register("0x1c0000c40660462\n").unwrap(), 0x01c0_000c_4066_0462);
    assert_eq!(sysfs_register("").unwrap_err().status(), Status::Syntax);
    assert_eq!(sysfs_register("1ffffffffffffffff").unwrap_err().status(), Status::Overflow);
    assert_eq!(sysfs_amd_features("0:25bf732fa2295afe\n").unwrap(), 0x25bf_732f_a229_5afe);
    assert_eq!(sysfs_amd_features("25bf732fa2295afe:0\n").unwrap(), 0x25bf_732f_a229_5afe);
    assert!(sysfs_amd_features("words").is_err());
}

/// struct iommu_hw_info: size, flags, dev_id, data_len, data_uptr, out_data_type, reserved bytes or
/// PASID width, out_capabilities.
fn hw_info(size: u32, data: u32, kind: u32, capabilities: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [size, 0, 1, data] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&0_u64.to_ne_bytes());
    for word in [kind, 0] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&capabilities.to_ne_bytes());
    bytes
}

#[test]
fn hardware_info_gives_registers() {
    let (cap, ecap) = (0x01c0_000c_4066_0462_u64, 0x7e_3ff0_505e_u64);
    // struct iommu_hw_info_vtd: flags, reserved, cap_reg, ecap_reg.
    let mut data = vec![0; 8];
    data.extend_from_slice(&cap.to_ne_bytes());
    data.extend_from_slice(&ecap.to_ne_bytes());
    let info = HwInfo::decode(&hw_info(40, 24, 1, 1), &data).unwrap();
    assert_eq!(info.vtd, Some((cap, ecap)));
    assert_eq!((info.smmuv3, info.amd, info.full_length), (None, None, 24));
    assert_eq!(info.dirty_tracking, Some(true));
    // An older kernel's header ends before the capabilities; the data may be cut.
    let older = HwInfo::decode(&hw_info(32, 24, 1, 1)[..32], &data[..16]).unwrap();
    assert_eq!((older.dirty_tracking, older.vtd, older.pasid_bits), (None, None, None));
    let other = HwInfo::decode(&hw_info(40, 24, 99, 0), &data).unwrap();
    assert_eq!((other.vtd, other.dirty_tracking), (None, Some(false)));
    assert_eq!(HwInfo::decode(&[], &[]).unwrap_err().status(), Status::Truncated);
    assert_eq!(HwInfo::decode(&hw_info(8, 0, 1, 0), &[]).unwrap_err().status(), Status::Malformed);
    for length in 0..40 {
        assert!(HwInfo::decode(&hw_info(40, 24, 1, 1)[..length], &data).is_err(), "{length}");
    }
}

#[test]
fn a_geometry_says_what_it_knows() {
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    assert_eq!(host.knows(), Default::default());
    assert_eq!((host.page_sizes().unwrap(), host.alignment().unwrap()), (None, None));
    assert_eq!((host.map_budget().unwrap(), host.promise_mask(None).unwrap()), (None, None));
    host.add_alignment(0x4000, Source::Iommufd).unwrap();
    assert_eq!(host.alignment().unwrap(), Some(0x4000));
    assert_eq!(host.promise_mask(None).unwrap(), Some(!0x3fff));
    assert_eq!(host.promise_mask(Some(4096)).unwrap_err().status(), Status::Alignment);
    host.add_page_sizes(0x4020_1000, Source::Vfio).unwrap();
    assert_eq!(host.page_sizes().unwrap(), Some(0x4020_1000));
    host.add_map_budget(65535, Source::Vfio).unwrap();
    assert_eq!(host.map_budget().unwrap(), Some(65535));
    // A text that fills its page may have been cut off.
    let mut long = String::new();
    for n in 0..100 {
        long += &format!("0x{:016x} 0x{:016x} reserved\n", n << 20, (n << 20) + 0xfff);
    }
    let mut cut = Geometry::new("cut").unwrap();
    cut.add_sysfs_reserved_regions(&long[..4095]).unwrap();
    assert!(cut.knows().incomplete && cut.knows().reserved && !host.knows().reserved);

    let before = host.try_clone().unwrap();
    host.add_reserved(0x800_0000..=0x80f_ffff, ResvType::Msi, Source::Sysfs).unwrap();
    host.add_software_msi(0x800_0000..=0x80f_ffff, Source::Sysfs).unwrap();
    let regions = host.regions().unwrap();
    assert_eq!((regions.len(), regions[0].resv_type), (1, ResvType::SoftwareMsi));
    assert_eq!(regions[0].owner.as_ref().unwrap().name, "0000:3b:00.0");
    let mut removed = before.usable(1).unwrap();
    removed.subtract(&host.usable(1).unwrap()).unwrap();
    assert!(removed.iter().eq([0x800_0000..=0x80f_ffff]));
    let mut added = host.usable(1).unwrap();
    added.subtract(&before.usable(1).unwrap()).unwrap();
    assert!(added.is_empty());
    // Firmware's own mapping that the host gives up is usable, and shows all the same.
    host.add_reserved(0..=0xfff, ResvType::DirectRelaxable, Source::Sysfs).unwrap();
    assert_eq!(host.regions().unwrap().len(), 2);
    assert!(host.accepts(0..=0x3fff));
}

#[test]
fn a_set_is_cut_and_searched() {
    let mut set = RangeSet::from_ranges(&[0..=9, 20..=29, 40..=TOP]).unwrap();
    assert_eq!(set.first_overlap(10..=25), Some(20..=29));
    assert_eq!(set.first_overlap(10..=19), None);
    set.clip(5..=44).unwrap();
    assert!(set.iter().eq([5..=9, 20..=29, 40..=44]));
    #[allow(clippy::reversed_empty_ranges)]
    let refused = set.clip(5..=4).unwrap_err();
    assert_eq!(refused.status(), Status::Inverted);
    assert_eq!(set.len(), 3);
}
