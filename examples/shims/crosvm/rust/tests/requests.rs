// SPDX-License-Identifier: BSD-3-Clause
//! The call site of crosvm's virtio-iommu device, as far as geometry goes: its constants, its
//! request structures read field by field, its order of reply and tail. The host below is a VFIO
//! container that refuses what a 39-bit IOMMU refuses.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::convert::TryInto;

use iovageom::{features, virtio_status as status, Error};
use iovageom_crosvm::{Books, Container as ContainerId, Host, Step, FEATURES};

const X86_MSI_IOVA_START: u64 = 0xfee0_0000;
const X86_MSI_IOVA_END: u64 = 0xfeef_ffff;
const TAIL_SIZE: usize = 4;
const ATTACH: u8 = 1;
const DETACH: u8 = 2;
const MAP: u8 = 3;
const UNMAP: u8 = 4;
const PROBE: u8 = 5;
const VERSION_1: u64 = 1 << 32;

/// A VFIO container as the kernel has it.
struct Container {
    ranges: Vec<(u64, u64)>,
    mapped: BTreeMap<u64, u64>,
    out_of_mappings: bool,
}

impl Container {
    fn of_39_bits() -> Container {
        Container {
            ranges: vec![(0, 0xfedf_ffff), (0xfef0_0000, 0x7f_ffff_ffff)],
            mapped: BTreeMap::new(),
            out_of_mappings: false,
        }
    }

    /// VFIO_IOMMU_MAP_DMA.
    fn map(&mut self, start: u64, last: u64) -> Result<(), u8> {
        let inside = self.ranges.iter().any(|r| r.0 <= start && last <= r.1);
        assert!(inside, "the host was asked for [{:#x},{:#x}], which it refuses", start, last);
        if self.out_of_mappings {
            return Err(status::DEVERR);
        }
        assert!(self.mapped.insert(start, last).is_none());
        Ok(())
    }

    fn step(&mut self, step: Step<'_>) -> Result<(), Failure> {
        let done = match step {
            Step::Add(mapping) => self.map(*mapping.range.start(), *mapping.range.end()),
            Step::Remove(run) => self.unmap(*run.start(), *run.end()),
        };
        done.map_err(Failure::Mapper)
    }

    fn unmap(&mut self, start: u64, last: u64) -> Result<(), u8> {
        // One call removes mappings that lie side by side, none of them in part.
        let run: Vec<(u64, u64)> = self.mapped.range(start..=last).map(|(s, l)| (*s, *l)).collect();
        assert_eq!(run.first().map(|piece| piece.0), Some(start));
        assert_eq!(run.last().map(|piece| piece.1), Some(last));
        for piece in run {
            self.mapped.remove(&piece.0);
        }
        Ok(())
    }
}

/// Refused by the books, or by the mapper with a status of its own.
enum Failure {
    Books(Error),
    Mapper(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Books(error)
    }
}

/// What is left of crosvm's `State`.
struct State {
    books: Books,
    container: Container,
    /// Endpoints whose mapper leaves all to the books.
    emulated: Vec<u32>,
    /// What goes into the log for the last request.
    why: String,
}

impl State {
    fn answer(&mut self, outcome: Result<(), Failure>) -> u8 {
        let (answer, why) = match outcome {
            Ok(()) => (status::OK, String::new()),
            Err(Failure::Books(refused)) => (refused.virtio(), refused.to_string()),
            Err(Failure::Mapper(answer)) => (answer, String::new()),
        };
        self.why = why;
        answer
    }
}

/// Two implementations of MemoryMapper: ids are the number of the host group, and a count from 0.
struct VfioWrapper;
struct BasicMemoryMapper;

fn container<Mapper: 'static>(id: u32) -> Option<ContainerId> {
    Some(ContainerId { type_id: TypeId::of::<Mapper>(), id })
}

fn host_of_39_bits(name: &str, group: u32) -> Host {
    Host {
        name: name.into(),
        container: container::<VfioWrapper>(group),
        page_mask: Some(0x4020_1000),
        ranges: Some(vec![0..=0xfedf_ffff, 0xfef0_0000..=0x7f_ffff_ffff]),
    }
}

fn host_of_48_bits(name: &str, group: u32) -> Host {
    Host {
        ranges: Some(vec![0..=0xfedf_ffff, 0xfef0_0000..=0xffff_ffff_ffff]),
        ..host_of_39_bits(name, group)
    }
}

/// BasicMemoryMapper::new(u64::MAX): crosvm's own, for an emulated device.
fn emulated(name: &str, id: u32) -> Host {
    Host {
        name: name.into(),
        container: container::<BasicMemoryMapper>(id),
        page_mask: Some(u64::MAX),
        ranges: Some(vec![0..=u64::MAX]),
    }
}

impl State {
    fn with(endpoints: &[(u32, Host)]) -> State {
        let mut books = Books::new(4096, Some(X86_MSI_IOVA_START..=X86_MSI_IOVA_END)).unwrap();
        for (endpoint, host) in endpoints {
            books.add_endpoint(*endpoint, host).unwrap();
        }
        let basic = container::<BasicMemoryMapper>(0).map(|basic| basic.type_id);
        let emulated = endpoints
            .iter()
            .filter(|(_, host)| host.container.map(|own| own.type_id) == basic)
            .map(|(endpoint, _)| *endpoint)
            .collect();
        State { books, container: Container::of_39_bits(), emulated, why: String::new() }
    }

    /// `execute_request`: returns the used length.
    fn execute(&mut self, request: &[u8], reply: &mut [u8]) -> usize {
        let u32_at = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
        let State { books, container, emulated, .. } = self;
        let mut step = |endpoint, step: Step<'_>| {
            if emulated.contains(&endpoint) {
                return Ok(());
            }
            container.step(step)
        };
        let mut written = 0;
        let outcome = match request[0] {
            ATTACH => {
                let (endpoint, reserved) = (u32_at(8), request[12..20].try_into().unwrap());
                books.attach(u32_at(4), endpoint, reserved, |what| step(endpoint, what))
            }
            DETACH => {
                let endpoint = u32_at(8);
                books.detach(u32_at(4), endpoint, |what| step(endpoint, what))
            }
            MAP => {
                let virt = (u64_at(8), u64_at(16));
                books.map(u32_at(4), virt, u64_at(24), u32_at(32), |mapping| {
                    let (start, last) = mapping.range.clone().into_inner();
                    container.map(start, last).map_err(Failure::Mapper)
                })
            }
            UNMAP => {
                let virt = (u64_at(8), u64_at(16));
                books.unmap(u32_at(4), virt, |run| {
                    container.unmap(*run.start(), *run.end()).map_err(Failure::Mapper)
                })
            }
            PROBE => {
                written = reply.len() - TAIL_SIZE;
                books.probe(u32_at(4), &mut reply[..written]).map_err(Failure::Books)
            }
            _ => return 0,
        };
        let answer = self.answer(outcome);
        reply[written..written + TAIL_SIZE].copy_from_slice(&[answer, 0, 0, 0]);
        written + TAIL_SIZE
    }

    fn status_of(&mut self, request: &[u8]) -> u8 {
        let mut reply = [0xaa; TAIL_SIZE];
        assert_eq!(self.execute(request, &mut reply), TAIL_SIZE);
        assert_eq!(reply[1..], [0, 0, 0]);
        reply[0]
    }

    fn probe(&mut self, endpoint: u32) -> (u8, Vec<u8>) {
        let size = self.books.config().unwrap().probe_size as usize;
        let mut reply = vec![0xaa; size + TAIL_SIZE];
        let mut request = vec![0; 72];
        request[0] = PROBE;
        request[4..8].copy_from_slice(&endpoint.to_le_bytes());
        assert_eq!(self.execute(&request, &mut reply), size + TAIL_SIZE);
        let answer = reply[size];
        reply.truncate(size);
        (answer, reply)
    }
}

/// What reaches the device when a driver starts: its features, 32 bits at a time, and DRIVER_OK. Of a
/// reset before that it hears nothing.
fn start_driver(books: &mut Books, accepted: u64) -> Result<(), Error> {
    books.ack_features(accepted & 0xffff_ffff);
    books.ack_features(accepted & !0xffff_ffff | VERSION_1);
    books.activate()
}

fn attach(domain: u32, endpoint: u32, reserved: [u8; 8]) -> Vec<u8> {
    let mut bytes = vec![ATTACH, 0, 0, 0];
    bytes.extend_from_slice(&domain.to_le_bytes());
    bytes.extend_from_slice(&endpoint.to_le_bytes());
    bytes.extend_from_slice(&reserved);
    bytes
}

fn map(domain: u32, start: u64, end: u64, phys: u64, flags: u32) -> Vec<u8> {
    let mut bytes = vec![MAP, 0, 0, 0];
    bytes.extend_from_slice(&domain.to_le_bytes());
    for word in [start, end, phys] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes
}

fn unmap(domain: u32, start: u64, end: u64) -> Vec<u8> {
    let mut bytes = vec![UNMAP, 0, 0, 0];
    bytes.extend_from_slice(&domain.to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&end.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

fn resv_mem(subtype: u8, start: u64, last: u64) -> Vec<u8> {
    let mut bytes = vec![1, 0, 20, 0, subtype, 0, 0, 0];
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&last.to_le_bytes());
    bytes
}

#[test]
fn iova_max_is_the_least_of_the_hosts_not_the_most() {
    let state = State::with(&[
        (0x08, host_of_48_bits("0000:3b:00.0", 1)),
        (0x10, host_of_39_bits("0000:3c:00.0", 2)),
    ]);
    let config = state.books.config().unwrap();
    assert_eq!(*config.input_range.end(), 0x7f_ffff_ffff);
    assert_eq!(*config.input_range.start(), 0);
    assert_eq!(config.page_size_mask, 0x4020_1000);
}

#[test]
fn probe_tells_of_the_hosts_holes_and_not_only_of_the_msi_window() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    start_driver(&mut state.books, FEATURES).unwrap();
    let (answer, properties) = state.probe(0x08);
    assert_eq!(answer, status::OK);
    let mut expected = resv_mem(1, X86_MSI_IOVA_START, X86_MSI_IOVA_END);
    expected.extend(resv_mem(0, 0x80_0000_0000, u64::MAX));
    assert_eq!(properties[..48], expected[..]);
    assert!(properties[48..].iter().all(|byte| *byte == 0));
}

#[test]
fn n63_a_short_buffer_does_not_turn_noent_into_inval() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    start_driver(&mut state.books, FEATURES).unwrap();
    let mut short = [0xaa_u8; 8];
    assert_eq!(state.books.probe(0x99, &mut short).unwrap_err().virtio(), status::NOENT);
    assert_eq!(state.books.probe(0x08, &mut short).unwrap_err().virtio(), status::INVAL);
    assert_eq!(short, [0xaa; 8]);
}

#[test]
fn n24_n25_n26_attach_refuses_what_it_must() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    assert_eq!(state.status_of(&attach(1, 0x99, [0; 8])), status::NOENT);
    assert_eq!(state.status_of(&attach(1, 0x08, [0, 0, 0, 0, 1, 0, 0, 0])), status::INVAL);
    assert_eq!(state.status_of(&attach(1, 0x08, [0x80, 0, 0, 0, 0, 0, 0, 0])), status::INVAL);
    assert_eq!(state.status_of(&attach(1, 0x08, [0; 8])), status::OK);
}

#[test]
fn i2_a_map_beyond_39_bits_never_reaches_the_host() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    assert_eq!(state.status_of(&attach(1, 0x08, [0; 8])), status::OK);
    let request = map(1, 0x80_0000_0000, 0x80_0000_0fff, 0x1000, 3);
    assert_eq!(state.status_of(&request), status::RANGE);
    assert!(state.why.contains("0x8000000000"), "{}", state.why);
    assert_eq!(state.status_of(&map(1, 0x7f_ffff_f000, 0x7f_ffff_ffff, 0x1000, 3)), status::OK);
    assert_eq!(state.container.mapped.len(), 1);
}

#[test]
fn n76_a_map_over_the_msi_window_is_refused() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    state.status_of(&attach(1, 0x08, [0; 8]));
    assert_eq!(state.status_of(&map(1, 0xfedf_f000, 0xfee0_0fff, 0x1000, 3)), status::INVAL);
    assert!(state.container.mapped.is_empty());
}

#[test]
fn n37_n41_the_end_of_the_address_space_does_not_wrap() {
    let mut state = State::with(&[(0x08, Host { name: "mdev".into(), ..Host::default() })]);
    state.container.ranges = vec![(0, u64::MAX)];
    state.status_of(&attach(1, 0x08, [0; 8]));
    assert_eq!(state.status_of(&map(1, u64::MAX - 0xfff, u64::MAX, 0x1000, 3)), status::OK);
    assert_eq!(state.status_of(&map(1, 0x2000, 0x1000, 0x1000, 3)), status::INVAL);
    assert_eq!(state.status_of(&unmap(1, u64::MAX - 0xfff, u64::MAX)), status::OK);
    assert!(state.container.mapped.is_empty());
    assert_eq!(state.status_of(&unmap(1, 0, u64::MAX)), status::OK);
}

#[test]
fn a_map_that_vfio_refuses_leaves_the_books_as_they_were() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    state.status_of(&attach(1, 0x08, [0; 8]));
    state.container.out_of_mappings = true;
    let request = map(1, 0x1000, 0x1fff, 0x1000, 3);
    assert_eq!(state.status_of(&request), status::DEVERR);
    state.container.out_of_mappings = false;
    assert_eq!(state.status_of(&request), status::OK);
    assert_eq!(state.status_of(&request), status::INVAL);
}

#[test]
fn n54_an_unmap_that_would_split_removes_nothing() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    state.status_of(&attach(1, 0x08, [0; 8]));
    state.status_of(&map(1, 0x1000, 0x1fff, 0x10000, 3));
    state.status_of(&map(1, 0x2000, 0x3fff, 0x20000, 1));
    assert_eq!(state.status_of(&unmap(1, 0x1000, 0x2fff)), status::RANGE);
    assert_eq!(state.container.mapped.len(), 2);
    assert_eq!(state.status_of(&unmap(1, 0x1000, 0x3fff)), status::OK);
    assert!(state.container.mapped.is_empty());
}

#[test]
fn a_hot_plugged_device_must_fit_what_the_guest_was_told() {
    let mut state = State::with(&[(0x08, host_of_48_bits("0000:3b:00.0", 1))]);
    state.books.declare(0x100..=0x107, None).unwrap();
    start_driver(&mut state.books, FEATURES).unwrap();
    assert_eq!(state.probe(0x100).0, status::OK);
    let refused = state.books.add_endpoint(0x100, &host_of_39_bits("0000:3c:00.0", 2)).unwrap_err();
    assert!(refused.to_string().contains("0000:3c:00.0"), "{}", refused);
    // Nothing stays of it: a device that fits takes the same place.
    state.books.add_endpoint(0x100, &host_of_48_bits("0000:3d:00.0", 3)).unwrap();
    state.books.remove_endpoint(0x100).unwrap();
    assert!(state.books.remove_endpoint(0x100).is_err());
}

fn without(feature: u32) -> u64 {
    FEATURES & !u64::from(feature)
}

fn host_with_a_hole(name: &str, group: u32) -> Host {
    Host {
        ranges: Some(vec![0..=0x9fff_ffff, 0xb000_0000..=0x7f_ffff_ffff]),
        ..host_of_39_bits(name, group)
    }
}

#[test]
fn a_driver_without_probe_is_refused_where_it_can_not_be_told() {
    // No window of the machine's: what can't be told is the device's hole.
    let mut books = Books::new(4096, None).unwrap();
    books.add_endpoint(0x08, &host_with_a_hole("0000:3b:00.0", 1)).unwrap();
    // A driver that has written nothing has accepted nothing.
    books.activate().unwrap_err();
    let told = start_driver(&mut books, without(features::PROBE)).unwrap_err().to_string();
    assert!(told.contains("0000:3b:00.0") && told.contains("0x9fffffff"), "{}", told);
    // After a reset, each driver is judged by what it has accepted itself.
    start_driver(&mut books, FEATURES).unwrap();
    start_driver(&mut books, without(features::PROBE)).unwrap_err();
    start_driver(&mut books, 0).unwrap_err();
    // What lies outside of the input range PROBE tells as well.
    start_driver(&mut books, without(features::INPUT_RANGE)).unwrap();
}

#[test]
fn beside_a_driver_without_probe_no_device_with_a_hole_is_plugged() {
    let mut books = Books::new(4096, None).unwrap();
    books.add_endpoint(0x10, &emulated("virtio-blk", 0)).unwrap();
    start_driver(&mut books, without(features::PROBE)).unwrap();
    let refused = books.add_endpoint(0x08, &host_with_a_hole("0000:3c:00.0", 1)).unwrap_err();
    assert!(refused.to_string().contains("0000:3c:00.0"), "{}", refused);
}

#[test]
fn n43_a_flag_whose_feature_was_declined_is_unknown() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    let mmio = map(1, 0x1000, 0x1fff, 0x1000, 4 | 1);
    assert_eq!(state.status_of(&attach(1, 0x08, [0; 8])), status::OK);
    for (accepted, answer) in [(without(features::MMIO), status::INVAL), (FEATURES, status::OK)] {
        start_driver(&mut state.books, accepted).unwrap();
        assert_eq!(state.status_of(&mmio), answer);
    }
}

#[test]
fn a_declared_floor_lets_the_narrow_device_in() {
    let mut state = State::with(&[(0x08, host_of_48_bits("0000:3b:00.0", 1))]);
    state
        .books
        .declare(0x100..=0x107, Some(&Host { container: None, ..host_of_39_bits("pool", 0) }))
        .unwrap();
    start_driver(&mut state.books, FEATURES).unwrap();
    assert_eq!(state.probe(0x100).0, status::OK);
    state.books.add_endpoint(0x100, &host_of_39_bits("0000:3c:00.0", 2)).unwrap();
}

#[test]
fn unknown_is_not_empty() {
    let mut books = Books::new(4096, None).unwrap();
    books.add_endpoint(1, &Host { name: "silent".into(), ..Host::default() }).unwrap();
    let nothing = Host { name: "nothing".into(), ranges: Some(vec![]), ..Host::default() };
    let refused = books.add_endpoint(2, &nothing).unwrap_err();
    assert!(refused.to_string().contains("nothing"), "{}", refused);
}

#[test]
fn the_books_move_to_the_worker_thread() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    let worker = std::thread::spawn(move || state.status_of(&attach(1, 0x08, [0; 8])));
    assert_eq!(worker.join().unwrap(), status::OK);
}

#[test]
fn an_unknown_request_is_returned_unwritten() {
    let mut state = State::with(&[]);
    let mut reply = [0xaa; 4];
    assert_eq!(state.execute(&[0x7f, 0, 0, 0], &mut reply), 0);
    assert_eq!(reply, [0xaa; 4]);
}

#[test]
fn detach_of_an_unknown_endpoint_is_noent() {
    let mut state = State::with(&[]);
    let mut request = attach(1, 5, [0; 8]);
    request[0] = DETACH;
    assert_eq!(state.status_of(&request), status::NOENT);
}

fn detach(domain: u32, endpoint: u32) -> Vec<u8> {
    let mut request = attach(domain, endpoint, [0; 8]);
    request[0] = DETACH;
    request
}

#[test]
fn equal_ids_of_two_types_of_mapper_are_two_containers() {
    // Host group 1, and the second mapper that crosvm made itself.
    let mut state = State::with(&[
        (0x08, host_of_39_bits("0000:3b:00.0", 1)),
        (0x10, emulated("virtio-blk", 1)),
        (0x18, emulated("virtio-net", 0)),
    ]);
    assert_eq!(*state.books.config().unwrap().input_range.end(), 0x7f_ffff_ffff);
    start_driver(&mut state.books, FEATURES).unwrap();
    // What the host's device can't map is no business of the emulated one's,
    assert!(state.probe(0x08).1[24..].iter().any(|byte| *byte != 0));
    let (answer, properties) = state.probe(0x10);
    assert_eq!(answer, status::OK);
    assert_eq!(properties[..24], resv_mem(1, X86_MSI_IOVA_START, X86_MSI_IOVA_END)[..]);
    assert!(
        properties[24..].iter().all(|byte| *byte == 0),
        "told what another one's host reserves"
    );
    // and each may be in a domain of its own.
    for endpoint in [0x08, 0x10, 0x18] {
        assert_eq!(state.status_of(&attach(endpoint, endpoint, [0; 8])), status::OK);
    }
}

#[test]
fn the_highest_ids_are_containers_like_all_others() {
    let mut state = State::with(&[
        (0x08, host_of_39_bits("0000:3b:00.0", u32::MAX)),
        (0x10, emulated("virtio-blk", u32::MAX)),
        (0x18, emulated("virtio-net", 0)),
        (0x20, Host { container: None, ..emulated("alone", 0) }),
        (0x28, Host { container: None, ..emulated("alone, too", 0) }),
        (0x30, Host { name: "says nothing".into(), ..Host::default() }),
    ]);
    for endpoint in [0x08, 0x10, 0x18, 0x20, 0x28, 0x30] {
        assert_eq!(state.status_of(&attach(endpoint, endpoint, [0; 8])), status::OK);
    }
}

#[test]
fn n27_one_container_is_in_one_domain() {
    let mut state = State::with(&[
        (0x08, host_of_39_bits("0000:3b:00.0", 1)),
        (0x09, host_of_39_bits("0000:3b:00.1", 1)),
        (0x10, host_of_39_bits("0000:3c:00.0", 2)),
    ]);
    assert_eq!(state.status_of(&attach(1, 0x08, [0; 8])), status::OK);
    assert_eq!(state.status_of(&attach(2, 0x09, [0; 8])), status::UNSUPP);
    assert!(state.why.contains("domain"), "{}", state.why);
    assert_eq!(state.status_of(&attach(2, 0x10, [0; 8])), status::OK);
    assert_eq!(state.status_of(&attach(1, 0x09, [0; 8])), status::OK);
    // Neither can leave while the other stays: it would reach what is mapped there.
    assert_eq!(state.status_of(&attach(2, 0x09, [0; 8])), status::UNSUPP);
    assert_eq!(state.status_of(&detach(1, 0x09)), status::UNSUPP);
    assert!(state.why.contains("stays"), "{}", state.why);
    // A wrong request stays a wrong request,
    assert_eq!(state.status_of(&detach(2, 0x09)), status::INVAL);
    // and alone it may go where it likes.
    state.books.remove_endpoint(0x08).unwrap();
    assert_eq!(state.status_of(&attach(2, 0x09, [0; 8])), status::OK);
    assert_eq!(state.status_of(&detach(2, 0x09)), status::OK);
}

/// What a mapper holds, for several of them: by endpoint, as `attach` is told whose turn it is.
#[derive(Default)]
struct Mappers(BTreeMap<u32, BTreeMap<u64, u64>>, Option<usize>);

impl Mappers {
    fn step(&mut self, endpoint: u32, step: Step<'_>) -> Result<(), Failure> {
        if let Some(left) = &mut self.1 {
            if *left == 0 {
                self.1 = None;
                return Err(Failure::Mapper(status::DEVERR));
            }
            *left -= 1;
        }
        let held = self.0.entry(endpoint).or_default();
        match step {
            Step::Add(mapping) => {
                assert!(held.insert(*mapping.range.start(), *mapping.range.end()).is_none())
            }
            Step::Remove(run) => {
                let gone: Vec<u64> = held.range(run.clone()).map(|(start, _)| *start).collect();
                assert_eq!(gone.first(), Some(run.start()));
                for start in gone {
                    assert!(held.remove(&start).unwrap() <= *run.end());
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_move_takes_mappings_out_and_puts_others_in_or_does_nothing() {
    let mut books = Books::new(4096, None).unwrap();
    for (endpoint, id) in [(8, 1), (9, 1), (16, 2)] {
        books.add_endpoint(endpoint, &host_of_39_bits("host", id)).unwrap();
    }
    let mut mappers = Mappers::default();
    let none = [0; 8];
    for (domain, endpoint) in [(1, 8), (2, 16)] {
        books.attach(domain, endpoint, &none, |step| mappers.step(endpoint, step)).ok().unwrap();
    }
    // Two runs in one domain, three mappings of which two touch; one mapping in the other.
    for (domain, start) in [(1, 0x1000), (1, 0x2000), (1, 0x8000), (2, 0x5000)] {
        let endpoint = if domain == 1 { 8 } else { 16 };
        let range = (start, start + 0xfff);
        books
            .map(domain, range, 0, 3, |mapping| mappers.step(endpoint, Step::Add(mapping)))
            .ok()
            .unwrap();
    }
    // The second endpoint of a container finds all there; nobody is asked for anything.
    books.attach::<Failure>(1, 9, &none, |step| panic!("{:?} is done already", step)).ok().unwrap();
    books.remove_endpoint(9).unwrap();
    // Each step fails once: three steps lead out of domain 1 and into domain 2.
    let before = mappers.0.clone();
    for steps in 0..3 {
        mappers.1 = Some(steps);
        let refused = books.attach(2, 8, &none, |step| mappers.step(8, step));
        assert!(matches!(refused, Err(Failure::Mapper(status::DEVERR))), "at step {}", steps);
        assert_eq!((&mappers.0, books.domain_of(8)), (&before, Some(1)), "at step {}", steps);
    }
    books.attach(2, 8, &none, |step| mappers.step(8, step)).ok().unwrap();
    assert_eq!(mappers.0[&8], mappers.0[&16]);
    assert_eq!(books.domain_of(8), Some(2));
    // The last one took domain 1 along; to attach again is nothing.
    books.attach::<Failure>(2, 8, &none, |step| panic!("{:?}", step)).ok().unwrap();
    mappers.1 = Some(0);
    assert!(books.detach(2, 8, |step| mappers.step(8, step)).is_err());
    assert_eq!((mappers.0[&8].len(), books.domain_of(8)), (1, Some(2)));
    books.detach(2, 8, |step| mappers.step(8, step)).ok().unwrap();
    assert_eq!((mappers.0[&8].len(), books.domain_of(8)), (0, None));
    assert_eq!(books.mappings(1).count(), 0);
}

#[test]
fn what_the_shim_refuses_is_told_as_well() {
    let mut state = State::with(&[(0x08, host_of_39_bits("0000:3b:00.0", 1))]);
    assert_eq!(state.status_of(&attach(1, 0x08, [0, 0, 0, 0, 1, 0, 0, 0])), status::INVAL);
    assert!(state.why.contains("reserved"), "{}", state.why);
    assert_eq!(state.status_of(&attach(1, 0x08, [0; 8])), status::OK);
    assert_eq!(state.why, "");
}

#[test]
fn a_mapper_exports_what_the_books_have() {
    let mut state =
        State::with(&[(0x10, emulated("virtio-blk", 1)), (0x18, emulated("virtio-net", 2))]);
    assert_eq!(state.status_of(&attach(1, 0x10, [0; 8])), status::OK);
    let export = |state: &State, endpoint, iova, size| {
        let pieces = state.books.export(endpoint, iova, size).ok()?;
        Some(pieces.iter().map(|piece| (piece.phys(), piece.access().bits())).collect::<Vec<_>>())
    };
    for (page, phys, flags) in [(1, 0x8000, 1), (2, 0x9000, 1), (3, 0xa000, 3), (4, 0x1000, 3)] {
        assert_eq!(
            state.status_of(&map(1, page << 12, (page << 12) + 0xfff, phys, flags)),
            status::OK
        );
    }
    // What follows on with the same rights is one piece; else it is several.
    assert_eq!(export(&state, 0x10, 0x1800, 0x1000), Some(vec![(0x8800, 1)]));
    assert_eq!(export(&state, 0x10, 0x1800, 0x2000), Some(vec![(0x8800, 1), (0xa000, 3)]));
    assert_eq!(
        export(&state, 0x10, 0x1000, 0x4000),
        Some(vec![(0x8000, 1), (0xa000, 3), (0x1000, 3)])
    );
    for (iova, size) in [(0xfff, 2), (0x1000, 0x4001), (0x1000, 0), (u64::MAX, 2)] {
        assert_eq!(export(&state, 0x10, iova, size), None);
    }
    // Another endpoint reaches nothing of it before it is in the domain.
    assert_eq!(export(&state, 0x18, 0x1000, 1), None);
    assert_eq!(state.status_of(&attach(1, 0x18, [0; 8])), status::OK);
    assert_eq!(export(&state, 0x18, 0x1000, 1), Some(vec![(0x8000, 1)]));
    assert!(state.books.endpoints_of(1).eq([0x10, 0x18]));
    assert_eq!(state.books.mappings(1).count(), 4);
    // More pieces than it makes room for at first.
    for page in 0x10..0x30_u64 {
        let flags = 1 + 2 * (page as u32 & 1);
        assert_eq!(
            state.status_of(&map(1, page << 12, (page << 12) + 0xfff, page << 12, flags)),
            status::OK
        );
    }
    assert_eq!(export(&state, 0x10, 0x1_0000, 0x2_0000).unwrap().len(), 32);
}

#[test]
fn a_range_of_endpoints_is_declared_whole_or_not_at_all() {
    let mut state = State::with(&[(0x105, host_of_39_bits("0000:3b:00.0", 1))]);
    assert!(state.books.declare(0x100..=0x107, None).is_err());
    // Nothing of it stays: a device that needs its place to be free gets it.
    state.books.declare(0x100..=0x104, None).unwrap();
    // The ranges of two buses, as crosvm makes them, overlap.
    state.books.declare(0x200..=0x308, None).unwrap();
    state.books.declare(0x300..=0x308, None).unwrap();
    // One that is refused leaves the places of another range alone.
    assert!(state.books.declare(0x104..=0x107, None).is_err());
    state.books.add_endpoint(0x104, &host_of_39_bits("0000:3c:00.0", 2)).unwrap();
    state.books.remove_endpoint(0x104).unwrap();
    assert_eq!(state.status_of(&attach(1, 0x104, [0; 8])), status::NOENT);
    #[allow(clippy::reversed_empty_ranges)]
    let refused = state.books.declare(9..=8, None).unwrap_err();
    assert!(!refused.to_string().is_empty());
}
