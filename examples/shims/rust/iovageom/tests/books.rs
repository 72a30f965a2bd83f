// SPDX-License-Identifier: BSD-3-Clause
//! What the memory mappers of Rust VMMs are relied on for, of the books; and admission.

use iovageom::{
    features, virtio_status, Access, Config, Declared, Fault, FindingKind, Geometry, HostRefused,
    PlugOptions, ResvType, Segment, Source, Status, Viommu, Work, ATTACH_BYPASS,
};

const RW: Access = Access::from_bits(3);

fn host(name: &str, bits: u32) -> Geometry {
    let mut host = Geometry::new(name).unwrap();
    host.add_usable(&[0..=0xfedf_ffff, 0xfef0_0000..=(1 << bits) - 1], Source::Vfio).unwrap();
    host.add_page_sizes(0x4020_1000, Source::Vfio).unwrap();
    host
}

/// One endpoint of the VMM's own, number 1, in domain 1, where single bytes may be mapped.
fn bytes() -> Viommu {
    let mut config = Config::default();
    config.page_size_mask = u64::MAX;
    let mut books = Viommu::new(&config).unwrap();
    books.declare(1, Declared::Emulated, None).unwrap();
    books.attach(1, 1, 0).unwrap();
    books
}

fn pieces(books: &Viommu, address: u64, size: u64) -> Result<Vec<(u64, u64)>, Fault> {
    let mut room = [Segment::default(); 8];
    let found = books.translate(1, address..=address + (size - 1), Access::ANY, &mut room)?;
    Ok(found
        .iter()
        .map(|piece| (piece.phys(), piece.range().end() - piece.range().start() + 1))
        .collect())
}

#[test]
fn mappings_never_overlap() {
    let mut books = bytes();
    books.map(1, 10..=19, 1000, RW).unwrap();
    for range in [10..=19, 0..=10, 19..=30, 12..=13, 0..=100, 0..=u64::MAX] {
        let refused = books.map(1, range, 0, RW).unwrap_err();
        assert_eq!(refused.virtio(), virtio_status::INVAL, "{refused}");
    }
    books.map(1, 0..=9, 1000, RW).unwrap();
    books.map(1, 20..=21, 5, RW).unwrap();
    // The specification has virt_end above virt_start: one byte is no mapping (N37).
    assert_eq!(books.map(1, 30..=30, 0, RW).unwrap_err().virtio(), virtio_status::INVAL);
    assert_eq!(books.domain(1).unwrap().mappings, 3);
}

#[test]
fn an_unmap_takes_whole_mappings_or_none() {
    let mut books = bytes();
    for (range, phys) in [(1..=4, 1000), (5..=8, 50), (9..=12, 50)] {
        books.map(1, range, phys, RW).unwrap();
    }
    for range in [0..=5, 1..=6, 2..=12, 6..=8, 6..=19] {
        let refused = books.unmap(1, range).unwrap_err();
        assert_eq!((refused.status(), refused.virtio()), (Status::Split, virtio_status::RANGE));
    }
    assert_eq!(books.unmap(1, 5..=8), Ok(1));
    assert_eq!(books.unmap(1, 5..=8), Ok(0));
    // Those left are not neighbours any more: two calls for the host.
    assert!(books.runs(1, 0..=u64::MAX).eq([1..=4, 9..=12]));
    books.map(1, 5..=8, 7, RW).unwrap();
    assert!(books.runs(1, 0..=u64::MAX).eq([1..=12]));
    assert_eq!(books.unmap(1, 0..=u64::MAX), Ok(3));
    assert_eq!(books.mappings(1, 0).count(), 0);
}

#[test]
fn an_access_may_span_what_follows_on() {
    let mut books = bytes();
    books.map(1, 2..=5, 1000, Access::READ).unwrap();
    assert_eq!(pieces(&books, 2, 4), Ok(vec![(1000, 4)]));
    assert_eq!(pieces(&books, 3, 2), Ok(vec![(1001, 2)]));
    assert_eq!(pieces(&books, 2, 5), Err(Fault::Mapping { address: 6 }));
    assert_eq!(pieces(&books, 1, 3), Err(Fault::Mapping { address: 1 }));
    books.map(1, 6..=9, 1004, Access::READ).unwrap();
    assert_eq!(pieces(&books, 3, 7), Ok(vec![(1001, 7)]));
    books.map(1, 12..=17, 1010, Access::READ).unwrap();
    assert_eq!(pieces(&books, 4, 10), Err(Fault::Mapping { address: 10 }));
    books.map(1, 10..=11, 1008, Access::READ).unwrap();
    assert_eq!(pieces(&books, 2, 16), Ok(vec![(1000, 16)]));
    // Elsewhere in memory, or with other rights, is another piece.
    books.map(1, 0..=1, 5, Access::READ).unwrap();
    books.map(1, 18..=19, 1016, RW).unwrap();
    assert_eq!(pieces(&books, 0, 20), Ok(vec![(5, 2), (1000, 16), (1016, 2)]));
    assert_eq!(books.translate_whole(1, 1, 2, Access::READ), Err(Fault::Scattered));
    assert_eq!(books.translate_whole(1, 2, 18, Access::READ), Ok(1000));
    assert_eq!(books.translate_whole(1, 2, 19, Access::READ), Err(Fault::Mapping { address: 20 }));
    assert_eq!(books.translate_whole(1, 2, 18, Access::WRITE), Err(Fault::Mapping { address: 2 }));
    assert_eq!(books.translate_whole(1, 18, 2, Access::WRITE), Ok(1016));
    assert_eq!(books.translate_whole(1, 2, 0, Access::READ), Err(Fault::Range));
    assert_eq!(books.translate_whole(1, 2, u64::MAX, Access::READ), Err(Fault::Range));
    assert_eq!(books.translate_whole(2, 2, 1, Access::READ), Err(Fault::Domain));
}

#[test]
fn rights_may_alternate_over_a_piece_of_memory() {
    let mut books = bytes();
    for n in 0..100 {
        let access = if n % 2 == 0 { RW } else { Access::READ };
        books.map(1, 2 * n..=2 * n + 1, 500 + 2 * n, access).unwrap();
    }
    assert_eq!(books.translate_whole(1, 0, 200, Access::READ), Ok(500));
    assert_eq!(books.translate_whole(1, 3, 80, Access::READ), Ok(503));
    assert_eq!(
        books.translate_whole(1, 0, 201, Access::READ),
        Err(Fault::Mapping { address: 200 })
    );
    assert_eq!(books.translate_whole(1, 0, 100, Access::WRITE), Err(Fault::Mapping { address: 2 }));
    let mut room = [Segment::default(); 8];
    let found = books.translate(1, 0..=199, Access::READ, &mut room);
    assert_eq!(found.unwrap_err(), Fault::TooMany { needed: 100 });
}

#[test]
fn the_way_back_is_in_one_mapping() {
    let mut books = bytes();
    books.map(1, 0x1000..=0x1fff, 0x8000, RW).unwrap();
    books.map(1, 0x4000..=0x4fff, 0x8000, RW).unwrap();
    books.map(1, 0x2000..=0x2fff, 0x9000, RW).unwrap();
    assert_eq!(books.translate_back(1, 0x8010, 0x10), Ok(0x1010));
    assert_eq!(books.translate_back(1, 0x9fff, 1), Ok(0x2fff));
    assert_eq!(books.translate_back(1, 0x8ff0, 0x20), Err(Fault::Mapping { address: 0x8ff0 }));
    assert_eq!(books.translate_back(1, 0, 1), Err(Fault::Mapping { address: 0 }));
    books.detach(1, 1).unwrap();
    books.set_bypass(true).unwrap();
    assert_eq!(books.translate_back(1, 0x8010, 0x10), Ok(0x8010));
}

#[test]
fn all_ways_back_come_in_order_with_an_index_and_without() {
    for index_phys in [false, true] {
        let mut config = Config::default();
        config.index_phys = index_phys;
        let mut books = Viommu::new(&config).unwrap();
        books.declare(1, Declared::Emulated, None).unwrap();
        books.attach(1, 1, 0).unwrap();
        books.map(1, 0x9000..=0x9fff, 0x8000, RW).unwrap();
        books.map(1, 0x4000..=0x4fff, 0x8000, RW).unwrap();
        books.map(1, 0x6000..=0x7fff, 0x7000, RW).unwrap();
        let starts =
            |phys| books.ways_back(1, phys).map(|found| *found.range.start()).collect::<Vec<_>>();
        assert_eq!(starts(0x8000..=0x8000), [0x6000, 0x4000, 0x9000]);
        assert_eq!(starts(0..=u64::MAX).len(), 3);
        assert!(starts(0x9000..=u64::MAX).is_empty());
        assert_eq!(books.translate_back(1, 0x8010, 0x10), Ok(0x7010));
    }
}

#[test]
fn what_goes_on_in_memory_is_joined_for_a_host() {
    let mut books = bytes();
    for n in 0..6 {
        books.map(1, n << 12..=(n << 12) + 0xfff, (n + n / 3) << 12, RW).unwrap();
    }
    let joined = |from| {
        books.joined(1, 0..=u64::MAX, from).map(|run| (run.range, run.phys)).collect::<Vec<_>>()
    };
    assert_eq!(joined(0), [(0..=0x2fff, 0), (0x3000..=0x5fff, 0x4000)]);
    assert_eq!(joined(0x5fff), [(0x3000..=0x5fff, 0x4000)]);
    assert!(joined(0x6000).is_empty());
    assert!(books.runs(1, 0..=u64::MAX).eq([0..=0x5fff]));
    assert!(books.joined(1, 0..=0x4fff, 0x3000).map(|run| run.range).eq([0x3000..=0x4fff]));
}

#[test]
fn the_ends_of_the_address_space_are_addresses() {
    let mut books = bytes();
    let last = u64::MAX;
    books.map(1, last - 1..=last, 7, RW).unwrap();
    assert_eq!(books.translate_whole(1, last, 1, RW), Ok(8));
    assert!(books.mappings(1, last).map(|mapping| mapping.range).eq([last - 1..=last]));
    assert!(books.runs(1, 0..=last).eq([last - 1..=last]));
    // The physical side ends there, too.
    assert_eq!(books.map(1, 0..=1, last, RW).unwrap_err().virtio(), virtio_status::RANGE);
    assert_eq!(books.unmap(1, 0..=last), Ok(1));
    books.map(1, 0..=last, 0, RW).unwrap();
    assert_eq!(books.translate_whole(1, 0, last, RW), Ok(0));
}

#[test]
fn a_bypass_translates_nothing_and_maps_nothing() {
    let mut books = bytes();
    assert!(!books.endpoint(1).unwrap().bypass);
    books.attach(2, 1, ATTACH_BYPASS).unwrap();
    assert!(books.endpoint(1).unwrap().bypass && books.domain(2).unwrap().bypass);
    assert!(books.domain(1).is_none());
    assert_eq!(books.translate_whole(1, 0x1234, 0x10, RW), Ok(0x1234));
    assert_eq!(books.map(2, 0..=9, 0, RW).unwrap_err().virtio(), virtio_status::INVAL);
    books.detach(2, 1).unwrap();
    books.set_bypass(false).unwrap();
    assert_eq!(books.translate_whole(1, 0x1234, 0x10, RW), Err(Fault::Domain));
}

#[test]
fn a_device_is_admitted_in_two_moments() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    // First it is known that one will come, and that it could be narrow,
    books.set_envelope(Some(&host("the pool", 39))).unwrap();
    books.declare(8, Declared::Slot, None).unwrap();
    assert_eq!(books.endpoint(8).unwrap().declared, Some(Declared::Slot));
    let space = books.config_space().unwrap();
    let mut properties = vec![0; space.probe_size as usize];
    books.probe(8, &mut properties).unwrap();
    assert!(books.promise(8).unwrap().told);
    assert_eq!(books.attach(1, 8, 0).unwrap_err().virtio(), virtio_status::NOENT);
    // and once its container has it, what it is.
    books.plug_prepare(8, &PlugOptions::default(), &host("0000:3b:00.0", 39)).unwrap();
    assert!(books.endpoint(8).unwrap().prepared);
    books.plug_abort(8).unwrap();
    assert_eq!(books.plug_abort(8).unwrap_err().status(), Status::State);
    // A narrower one is refused, with all that stands against it, and leaves no trace.
    let refused = books.plug(8, &PlugOptions::default(), &host("narrow", 36)).unwrap_err();
    assert!(refused.to_string().contains("narrow"), "{refused}");
    assert_eq!(refused.report().findings()[0].kind, FindingKind::Promise);
    assert_eq!(refused.report().findings()[0].endpoint, Some(8));
    assert_eq!(books.endpoint(8).unwrap().plugged, 0);
    assert_eq!(
        books.plug_check(8, &PlugOptions::default(), &host("narrow", 36)).unwrap_err().to_string(),
        refused.to_string()
    );
    books.plug(8, &PlugOptions::default(), &host("0000:3b:00.0", 39)).unwrap();
    assert_eq!(books.geometry(8).unwrap().unwrap().name(), "0000:3b:00.0");
    let promise = books.promise(8).unwrap();
    assert!(
        promise.safe && promise.current && promise.removed.is_empty() && promise.added.is_empty()
    );
    // The guest sees a device go, and asks anew of the one that comes in its place.
    books.unplug(8).unwrap();
    assert!(!books.promise(8).unwrap().told && books.geometry(8).unwrap().is_none());
    books.plug(8, &PlugOptions::default(), &host("narrow", 36)).unwrap();
}

#[test]
fn devices_of_one_container_share_what_they_reserve() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    let options = PlugOptions { address_space: Some(7), ..PlugOptions::default() };
    books.plug(1, &options, &host("wide", 48)).unwrap();
    books.plug(2, &options, &host("narrow", 39)).unwrap();
    books.plug(3, &PlugOptions::default(), &host("alone", 48)).unwrap();
    let told = |endpoint| {
        let regions = books.told(endpoint).unwrap();
        regions.iter().map(|region| *region.range.start()).max()
    };
    assert_eq!((told(1), told(2), told(3)), (Some(1 << 39), Some(1 << 39), Some(1 << 48)));
    assert_eq!(books.endpoint(1).unwrap().address_space, Some(7));
    assert_eq!(books.endpoint(3).unwrap().address_space, None);
    assert!(books.endpoints().map(|found| found.endpoint).eq(1..=3));
}

#[test]
fn endpoints_of_a_domain_come_in_order() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    for endpoint in [5, 3, 9] {
        books.declare(endpoint, Declared::Emulated, None).unwrap();
        books.attach(1, endpoint, 0).unwrap();
    }
    assert!(books.domain_endpoints(1).eq([5, 3, 9]));
    assert_eq!(books.domain_endpoints(2).count(), 0);
    books.attach(2, 3, 0).unwrap();
    assert!(books.domains().map(|domain| (domain.domain, domain.endpoints)).eq([(1, 2), (2, 1)]));
}

/// Endpoint 0, the mapping at 0 and domain 0 are where a list would start again.
#[test]
fn a_list_that_has_ended_stays_ended() {
    fn ends<T: std::fmt::Debug>(mut list: impl Iterator<Item = T>, count: usize) {
        assert_eq!(list.by_ref().count(), count);
        for _ in 0..3 {
            assert!(list.next().is_none());
        }
    }
    let mut books = Viommu::new(&Config::default()).unwrap();
    for endpoint in [0, 7, u32::MAX] {
        books.declare(endpoint, Declared::Emulated, None).unwrap();
        books.attach(0, endpoint, 0).unwrap();
    }
    books.map(0, 0..=0xfff, 0, RW).unwrap();
    books.map(0, u64::MAX - 0xfff..=u64::MAX, 0x1000, RW).unwrap();
    ends(books.domain_endpoints(0), 3);
    ends(books.domain_endpoints(1), 0);
    ends(books.endpoints(), 3);
    ends(books.domains(), 1);
    ends(books.mappings(0, 0), 2);
    ends(books.runs(0, 0..=u64::MAX), 2);
    ends(books.joined(0, 0..=u64::MAX, 0), 2);
    ends(books.ways_back(0, 0..=u64::MAX), 2);
    #[allow(clippy::reversed_empty_ranges)]
    ends(books.ways_back(0, 1..=0), 0);
}

fn map_request(domain: u32, start: u64, last: u64, phys: u64) -> Vec<u8> {
    let mut bytes = vec![3, 0, 0, 0];
    bytes.extend_from_slice(&domain.to_le_bytes());
    for word in [start, last, phys] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&3_u32.to_le_bytes());
    bytes
}

#[test]
fn a_request_is_begun_and_ended() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    books.plug(8, &PlugOptions::default(), &host("0000:3b:00.0", 39)).unwrap();
    books.attach(1, 8, 0).unwrap();
    let mut tail = [0xaa; 4];
    let request = map_request(1, 0x1000, 0x1fff, 0x8000);

    // The host refuses: nothing is booked, and the finding has its errno.
    let begun = books.begin(&request, tail.len());
    assert_eq!(
        *begun.work(),
        Work::Map { domain: 1, range: 0x1000..=0x1fff, phys: 0x8000, access: RW }
    );
    let answer = books.end(begun, Err(HostRefused { errno: 28 }), &mut tail);
    assert_eq!((answer.used_length, tail), (4, [virtio_status::NOMEM, 0, 0, 0]));
    let refused = answer.refused.unwrap();
    assert_eq!(
        (refused.report().findings()[0].kind, refused.report().findings()[0].wanted),
        (FindingKind::Host, 28)
    );
    assert_eq!(books.mappings(1, 0).count(), 0);

    let begun = books.begin(&request, tail.len());
    assert_eq!(books.end(begun, Ok(()), &mut tail).refused, None);
    assert_eq!((tail[0], books.mappings(1, 0).count()), (virtio_status::OK, 1));

    // What the books refuse is no work for the host, and says why.
    let begun = books.begin(&map_request(1, 0x80_0000_0000, 0x80_0000_0fff, 0), tail.len());
    assert_eq!(*begun.work(), Work::Nothing);
    assert!(begun.why().text().contains("0000:3b:00.0"), "{}", begun.why());
    let answer = books.end(begun, Ok(()), &mut tail);
    assert!(answer.refused.unwrap().to_string().contains("0000:3b:00.0"));
    assert_ne!(tail[0], virtio_status::OK);

    // An inverted range reaches the books as it is.
    assert_eq!(books.request(&map_request(1, 0x2000, 0x1000, 0), &mut tail).used_length, 4);
    assert_eq!(tail[0], virtio_status::INVAL);
    // Any bytes do.
    for length in 0..request.len() {
        let used = books.request(&request[..length], &mut tail).used_length;
        assert!(used == 0 || tail[0] == virtio_status::INVAL);
    }
    assert_eq!(books.request(&[0x77; 8], &mut tail).used_length, 0);
}

#[test]
fn a_refusal_is_told_for_its_own_reason() {
    for refused_at_once in [true, false] {
        let mut books = Viommu::new(&Config::default()).unwrap();
        books.plug(8, &PlugOptions::default(), &host("0000:3b:00.0", 39)).unwrap();
        books.attach(1, 8, 0).unwrap();
        let start = if refused_at_once { 0x80_0000_0000 } else { 0x1000 };
        let begun = books.begin(&map_request(1, start, start + 0xfff, 0), 4);
        assert_eq!(begun.why().is_empty(), !refused_at_once);
        // A plug that is refused meanwhile has a reason of its own.
        books.plug(8, &PlugOptions::default(), &host("0000:3c:00.0", 39)).unwrap_err();
        books.unplug(8).unwrap();
        let refused = books.end(begun, Ok(()), &mut [0; 4]).refused.unwrap();
        let findings = refused.report().findings();
        assert_eq!(findings.len(), 1, "{refused}");
        let kind = if refused_at_once { FindingKind::Reserved } else { FindingKind::NotFound };
        assert_eq!(findings[0].kind, kind, "{refused}");
    }
}

#[test]
#[should_panic(expected = "shorter")]
fn a_buffer_can_not_shrink_meanwhile() {
    let mut books = bytes();
    let begun = books.begin(&map_request(1, 0, 9, 0), 4);
    let _ = books.end(begun, Ok(()), &mut [0; 2]);
}

#[test]
#[should_panic(expected = "other books")]
fn a_request_ends_where_it_was_begun() {
    let mut books = bytes();
    let begun = books.begin(&map_request(1, 0, 9, 0), 4);
    // The second ones may well lie where the first did: what was decided is a place in those.
    drop(books);
    let _ = bytes().end(begun, Ok(()), &mut [0; 4]);
}

#[test]
fn a_moved_endpoint_says_where_it_comes_from() {
    let mut books = bytes();
    let attach = |domain: u32| {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend_from_slice(&domain.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes
    };
    let mut tail = [0; 4];
    let begun = books.begin(&attach(2), 4);
    assert_eq!(
        *begun.work(),
        Work::Attach { domain: 2, endpoint: 1, from: Some(1), bypass: false }
    );
    assert_eq!(books.end(begun, Ok(()), &mut tail).refused, None);
    let begun = books.begin(&attach(2), 4);
    assert_eq!(*begun.work(), Work::Nothing);
    assert_eq!(books.end(begun, Ok(()), &mut tail).refused, None);
}

#[test]
fn a_snapshot_comes_before_or_after_its_devices() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    books.plug(8, &PlugOptions::default(), &host("0000:3b:00.0", 48)).unwrap();
    books.attach(1, 8, 0).unwrap();
    books.freeze().unwrap();
    books.map(1, 0x80_0000_0000..=0x80_0000_0fff, 0x8000, RW).unwrap();
    let bytes = books.save().unwrap();

    let mut after = Viommu::new(&Config::default()).unwrap();
    after.plug(8, &PlugOptions::default(), &host("0000:3c:00.0", 48)).unwrap();
    after.load(&bytes, false).unwrap();
    assert_eq!(after.endpoint(8).unwrap().declared, None);
    assert_eq!(after.translate_whole(8, 0x80_0000_0010, 8, RW), Ok(0x8010));

    let mut before = Viommu::new(&Config::default()).unwrap();
    assert!(before.load(&bytes, false).unwrap_err().to_string().contains('8'));
    before.load_check(&bytes, true).unwrap();
    before.load(&bytes, true).unwrap();
    assert!(before.endpoint(8).unwrap().expected);
    let refused = before.plug(8, &PlugOptions::default(), &host("narrow", 39)).unwrap_err();
    assert!(refused.to_string().contains("narrow"), "{refused}");
    before.plug(8, &PlugOptions::default(), &host("0000:3c:00.0", 48)).unwrap();
    assert!(before.mappings(1, 0).eq(books.mappings(1, 0)));

    let mut narrow = Viommu::new(&Config::default()).unwrap();
    narrow.plug(8, &PlugOptions::default(), &host("narrow", 39)).unwrap();
    assert!(narrow.load(&bytes, false).is_err());
    for length in 0..bytes.len() {
        assert!(narrow.load(&bytes[..length], true).is_err());
    }
}

#[test]
fn a_driver_that_can_not_be_told_is_refused() {
    let mut books = Viommu::new(&Config::default()).unwrap();
    books.plug(8, &PlugOptions::default(), &host("0000:3b:00.0", 39)).unwrap();
    let refused = books.driver_features(features::MAP_UNMAP | features::INPUT_RANGE).unwrap_err();
    assert_eq!(refused.report().findings()[0].kind, FindingKind::InputRange);
    books.driver_features(features::MAP_UNMAP | features::INPUT_RANGE | features::PROBE).unwrap();
}

#[test]
fn a_machine_reserves_its_doorbells_for_all() {
    let mut config = Config::default();
    config.input_range = 0..=0xffff_ffff;
    config.max_domain_mappings = 2;
    let mut books = Viommu::new(&config).unwrap();
    books
        .add_region(0xfee0_0000..=0xfeef_ffff, ResvType::Msi, Source::Machine, "the doorbells")
        .unwrap();
    books.declare(1, Declared::Emulated, None).unwrap();
    books.attach(1, 1, 0).unwrap();
    let refused = books.map(1, 0xfee0_0000..=0xfee0_0fff, 0, RW).unwrap_err();
    assert!(refused.to_string().contains("the doorbells"), "{refused}");
    assert!(books
        .domain_usable(1)
        .unwrap()
        .iter()
        .eq([0..=0xfedf_ffff, 0xfef0_0000..=0xffff_ffff]));
    books.map(1, 0..=0xfff, 0, RW).unwrap();
    books.map(1, 0x2000..=0x2fff, 0, RW).unwrap();
    let refused = books.map(1, 0x4000..=0x4fff, 0, RW).unwrap_err();
    assert_eq!(refused.virtio(), virtio_status::NOMEM);
    assert_eq!(books.unmap(1, 0x2000..=0x2fff).unwrap(), 1);
    assert_eq!(books.unmap(1, 0x2000..=0x2fff).unwrap(), 0);
    books.map(1, 0x4000..=0x4fff, 0, RW).unwrap();
    books.reset(true);
    assert_eq!(books.domains().count(), 0);
    books.thaw().unwrap();
    assert!(!books.frozen());
}

#[cfg(feature = "vm-memory")]
#[test]
fn addresses_of_vm_memory() {
    use vm_memory::GuestAddress;
    let mut books = bytes();
    books.map(1, 0x1000..=0x1fff, 0x8000, RW).unwrap();
    let found = books.translate_guest(1, GuestAddress(0x1010), 8, Access::READ);
    assert_eq!(found, Ok(GuestAddress(0x8010)));
    assert!(books.translate_guest(1, GuestAddress(0x1ff9), 8, Access::READ).is_err());
}
