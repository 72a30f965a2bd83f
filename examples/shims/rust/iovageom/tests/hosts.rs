// SPDX-License-Identifier: BSD-3-Clause
//! What kernels say, by way of the calls that a VMM makes: the kernel here is a few lines.

use std::io;

use iovageom::{Error, FindingKind, Geometry, ResvType, Source, Status};

const RANGES: [(u64, u64); 2] = [(0, 0xfedf_ffff), (0xfef0_0000, 0x7f_ffff_ffff)];

/// VFIO_IOMMU_GET_INFO with a list of IOVA ranges (linux/vfio.h), for a host of 39 bits.
fn vfio(buffer: &mut [u64], ranges: &[(u64, u64)]) {
    let bytes_there = buffer.len() * 8;
    let argsz = u32::from_ne_bytes(buffer[0].to_ne_bytes()[..4].try_into().unwrap());
    assert!(argsz as usize <= bytes_there);
    // struct vfio_iommu_type1_info: argsz, flags, iova_pgsizes, cap_offset, pad.
    let whole = 24 + 16 + 16 * ranges.len() as u32;
    let fits = argsz >= whole;
    let mut bytes = Vec::new();
    for word in [whole, 3] {
        bytes.extend_from_slice(&u32::to_ne_bytes(word));
    }
    bytes.extend_from_slice(&u64::to_ne_bytes(0x4020_1000));
    bytes.extend_from_slice(&u32::to_ne_bytes(if fits { 24 } else { 0 }));
    bytes.extend_from_slice(&[0; 4]);
    if fits {
        // id, version, next, then the number of ranges and 4 bytes reserved.
        bytes.extend_from_slice(&u16::to_ne_bytes(1));
        bytes.extend_from_slice(&u16::to_ne_bytes(1));
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&u32::to_ne_bytes(ranges.len() as u32));
        bytes.extend_from_slice(&[0; 4]);
        for (start, last) in ranges {
            bytes.extend_from_slice(&start.to_ne_bytes());
            bytes.extend_from_slice(&last.to_ne_bytes());
        }
    }
    for (word, chunk) in buffer.iter_mut().zip(bytes.chunks(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().unwrap());
    }
}

#[test]
fn vfio_is_asked_until_its_answer_is_whole() {
    let many: Vec<_> = (0..200).map(|n| (n << 20, (n << 20) + 0xfffff - 0x1000)).collect();
    let mut sizes = Vec::new();
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    host.ask_vfio(|buffer| {
        sizes.push(buffer.len());
        vfio(buffer, &many);
        Ok(())
    })
    .unwrap();
    assert!(sizes.len() > 1 && sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    assert_eq!(host.usable(4096).unwrap().len(), 200);
    assert_eq!(host.granule().unwrap(), Some(4096));
}

#[test]
fn a_list_that_always_grows_is_given_up() {
    let mut calls = 0;
    let mut host = Geometry::new("odd").unwrap();
    let refused = host
        .ask_vfio(|buffer| {
            calls += 1;
            let ranges: Vec<_> = (0..buffer.len() as u64).map(|n| (n << 20, n << 20)).collect();
            vfio(buffer, &ranges);
            Ok(())
        })
        .unwrap_err();
    assert_eq!(refused.status(), Status::Limit);
    assert!(calls < 100);
    assert_eq!(host.usable(1).unwrap().size(), 1 << 64);
}

#[test]
fn a_failed_call_is_told_and_adds_nothing() {
    let mut host = Geometry::new("gone").unwrap();
    let refused = host.ask_vfio(|_| Err(io::Error::from_raw_os_error(25))).unwrap_err();
    assert_eq!(refused.status(), Status::Host);
    assert!(refused.to_string().starts_with("VFIO_IOMMU_GET_INFO: "), "{refused}");
    let refused = host.ask_iommufd(1, |_| Err(io::Error::from_raw_os_error(2))).unwrap_err();
    assert!(refused.to_string().starts_with("IOMMU_IOAS_IOVA_RANGES: "), "{refused}");
    assert_eq!(host.gaw().unwrap(), None);
}

/// IOMMU_IOAS_IOVA_RANGES (linux/iommufd.h), for IOAS number 3.
fn iommufd(header: &mut [u8; 32], ranges: &[(u64, u64)], alignment: u64) -> io::Result<()> {
    let word =
        |header: &[u8; 32], at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!((word(header, 0), word(header, 4)), (32, 3));
    let room = word(header, 8) as usize;
    let array = u64::from_ne_bytes(header[16..24].try_into().unwrap()) as usize as *mut u64;
    header[8..12].copy_from_slice(&u32::to_ne_bytes(ranges.len() as u32));
    header[24..32].copy_from_slice(&alignment.to_ne_bytes());
    for (index, (start, last)) in ranges.iter().take(room).enumerate() {
        // SAFETY: the header says that there is room for `room` pairs from `array` on.
        unsafe {
            array.add(2 * index).write(*start);
            array.add(2 * index + 1).write(*last);
        }
    }
    if room < ranges.len() {
        return Err(io::Error::from_raw_os_error(90));
    }
    Ok(())
}

#[test]
fn iommufd_is_asked_until_its_answer_is_whole() {
    let many: Vec<_> = (0..300).map(|n| (n << 20, (n << 20) + 0xfffff - 0x1000)).collect();
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    host.ask_iommufd(3, |header| iommufd(header, &many, 4096)).unwrap();
    assert_eq!(host.usable(4096).unwrap().len(), 300);
    // An alignment is no page-size mask, but it is a granule.
    assert_eq!(host.granule().unwrap(), Some(4096));
    let mut unattached = Geometry::new("nothing is attached").unwrap();
    let nothing = unattached.ask_iommufd(3, |header| iommufd(header, &[(0, u64::MAX)], 1));
    assert_eq!(nothing.unwrap_err().status(), Status::Unknown);
}

#[test]
fn vfio_iommufd_and_the_list_itself_say_the_same() {
    let listed = RANGES.map(|(start, last)| start..=last);
    let mut by_hand = Geometry::new("a").unwrap();
    by_hand.add_usable(&listed, Source::Vfio).unwrap();
    let mut by_vfio = Geometry::new("b").unwrap();
    by_vfio
        .ask_vfio(|buffer| {
            vfio(buffer, &RANGES);
            Ok(())
        })
        .unwrap();
    let mut by_iommufd = Geometry::new("c").unwrap();
    by_iommufd.ask_iommufd(3, |header| iommufd(header, &RANGES, 4096)).unwrap();
    for host in [&by_hand, &by_vfio, &by_iommufd] {
        assert!(host.usable(1).unwrap().iter().eq(listed.iter().cloned()));
        assert_eq!(host.gaw().unwrap(), Some(39));
        assert!(!host.accepts(0xfee0_0000..=0xfee0_0fff));
        assert!(host.accepts(0x7f_ffff_f000..=0x7f_ffff_ffff));
        assert!(!host.accepts(0x80_0000_0000..=0x80_0000_0fff));
    }
    assert_eq!(by_vfio.meet(&by_hand, "the narrower one").unwrap(), by_vfio);
    assert_ne!(by_vfio, by_hand);
    assert_ne!(by_vfio, by_iommufd);
    let meet = by_vfio.meet(&by_iommufd, "both").unwrap();
    assert_eq!(meet, by_iommufd.meet(&by_vfio, "the other way").unwrap());
    assert_eq!(meet.name(), "both");
}

#[test]
fn a_bad_line_of_sysfs_is_named() {
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    let refused = host
        .add_sysfs_reserved_regions(
            "0x00000000fee00000 0x00000000feefffff msi\n0x1000 oops reserved\n",
        )
        .unwrap_err();
    assert!(refused.to_string().starts_with("line 2 of reserved_regions: "), "{refused}");
    assert!(host.reserved(1).unwrap().is_empty());
    host.add_sysfs_reserved_regions("0x00000000fee00000 0x00000000feefffff msi\n").unwrap();
    let regions = host.reserved(4096).unwrap();
    assert_eq!(regions.len(), 1);
    assert_eq!(
        (regions[0].range.clone(), regions[0].resv_type),
        (0xfee0_0000..=0xfeef_ffff, ResvType::Msi)
    );
    let owner = regions[0].owner.as_ref().unwrap();
    assert_eq!((owner.source, owner.name.as_str()), (Source::Sysfs, "0000:3b:00.0"));
}

#[test]
fn unknown_is_not_empty() {
    let silent = Geometry::new("silent").unwrap();
    assert_eq!(
        (silent.gaw(), silent.granule(), silent.known_range()),
        (Ok(None), Ok(None), Ok(None))
    );
    assert!(silent.accepts(0..=u64::MAX));
    let mut nothing = Geometry::new("nothing").unwrap();
    nothing.add_usable(&[], Source::Vfio).unwrap();
    assert_eq!(nothing.gaw().unwrap_err().status(), Status::NothingUsable);
    assert!(!nothing.accepts(0..=0xfff));
    nothing.add_page_sizes(0, Source::Vfio).unwrap();
    assert_eq!(nothing.granule().unwrap_err().status(), Status::NothingUsable);
}

#[test]
fn a_refusal_is_data_and_a_sentence() {
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    host.add_gaw(39, Source::VtdRegisters).unwrap();
    host.add_reserved(0xdf80_0000..=0xdfff_ffff, ResvType::Direct, Source::Sysfs).unwrap();
    let refused = host.explain(0xdf90_0000..=0x80_0000_0fff).unwrap_err();
    let findings = refused.report().findings();
    assert!(
        findings.len() >= 2 && findings.iter().any(|finding| finding.kind == FindingKind::Reserved)
    );
    for finding in findings.iter().filter(|finding| finding.fatal) {
        assert!(finding.text.contains("0000:3b:00.0"), "{finding}");
    }
    assert_eq!(refused.status(), Status::OutOfAperture);
    assert_eq!(refused.status().to_string(), "the range lies outside the aperture");
    // It goes into the error of a VMM's call with its text.
    let error = io::Error::from(refused.clone());
    assert_eq!(error.to_string(), refused.to_string());
    assert_eq!(
        Error::new(Status::Conflict, "for a reason of ours").to_string(),
        "for a reason of ours"
    );
    assert!(host.assignable().unwrap_err().to_string().contains("0xdf800000"));
}

#[test]
fn names_are_checked() {
    assert!(Geometry::new("a\0b").unwrap_err().to_string().contains("NUL"));
    assert_eq!(Geometry::new(&"x".repeat(60)).unwrap_err().status(), Status::Invalid);
    assert_eq!(Geometry::new(&"x".repeat(59)).unwrap().name().len(), 59);
}

#[test]
fn what_was_saved_is_loaded_and_other_bytes_are_not() {
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    host.ask_vfio(|buffer| {
        vfio(buffer, &RANGES);
        Ok(())
    })
    .unwrap();
    let bytes = host.save().unwrap();
    let again = Geometry::load(&bytes).unwrap();
    assert_eq!(again, host);
    for length in 0..bytes.len() {
        assert!(Geometry::load(&bytes[..length]).is_err());
    }
}

#[cfg(feature = "serde")]
#[test]
fn they_go_through_serde() {
    let mut host = Geometry::new("0000:3b:00.0").unwrap();
    host.add_gaw(39, Source::Vfio).unwrap();
    let text = serde_json::to_string(&host).unwrap();
    assert_eq!(serde_json::from_str::<Geometry>(&text).unwrap(), host);
    assert!(serde_json::from_str::<Geometry>("[1,2,3]").is_err());
    let set = host.usable(1).unwrap();
    let text = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<iovageom::RangeSet>(&text).unwrap(), set);
    let refused = host.explain(0x80_0000_0000..=0x80_0000_0fff).unwrap_err();
    let json = serde_json::to_value(&refused).unwrap();
    assert_eq!(json["status"], "OutOfAperture");
    assert_eq!(json["report"]["findings"][0]["range"]["start"], 0x80_0000_0000_u64);
}
