// Package bench measures what the program costs beside the bare minimum, and how it bears a million customers. It holds
// benchmarks only, and nothing may import it. Absolute figures say more of the machine than of the program, so each is
// taken together with a reference, in one run on one machine, and what counts is the ratio.
//
//	go test ./internal/bench -run '^$' -bench .                              about seven minutes
//	go test ./internal/bench -run '^$' -bench Scale -million -timeout 30m    some minutes, and 3 GB of memory or disk
//	go test ./internal/bench -run '^$' -bench Exports -million -timeout 60m  some minutes, and 4 GB of memory or disk
//	go test ./internal/bench -run '^$' -bench Publishings -million -timeout 30m  the same, and 4 GB
//	go test ./internal/bench -run '^$' -bench Backups -million               a minute, and 3 GB of memory or disk
//	go test ./internal/bench -run '^$' -bench Imports -million -timeout 3h   an hour and less, and 15 GB of disk
//	go test ./internal/bench -run '^$' -bench JobFiles -gib                  some minutes, and 8 GB of disk
//
// It needs an installed PostgreSQL, as all tests do, and brings up servers of its own.
//
// # Throughput: Get, List, Create
//
// The product is the real router behind net/http on a TCP connection, with tokens checked, input checked against the
// contract and the log at warn. The reference is net/http with a pool, the same statements, the same rows, the same
// JSON, and nothing else. Both have 16 connections to the database and 16 keep-alive clients, which are in this process
// and cost next to nothing. They take turns in rounds of a fifth of a second; "ratio" is the median over the pairs of
// rounds of the product's requests per second by the reference's, 1 being a product that costs nothing:
//
//	Get     one customer out of 10,000                                    0.7 or more
//	List    the first page of twenty                                      0.6 or more
//	Create  a customer and its event, committed and safe on the disk      0.7 or more
//
// Create runs on a server that waits for the disk. Which disk that is matters little to a ratio, but the slower it is,
// the nearer to 1 that comes.
//
// # Safe retries: Idempotent
//
// The same customers are made with and without idempotency keys, in turns, on one server that waits for the disk. "ratio"
// is the requests per second with keys by those without, and should be 0.8 or more: a key costs a quarter at most.
//
// # People beside staff: Portal
//
// 500 people read their profiles, each with a token of its own, in turns with staff who read the same customers, on one
// server. "ratio" is the requests per second of the people by those of the staff, and should be 0.9 or more.
//
// # What people write: Publishings
//
// People read, list (the first page of twenty) and write publishings, beside a reference that looks up who they are by an
// unchecked token, and whose table nothing guards; as with Create, each has a database of its own on a server that waits for
// the disk. It is done with 10 publishings and, with -million, with 1,000,000 by a hundred people; "ratio" should be 0.6 or
// more in either. "µs-by-content" and "µs-by-title" are median latencies of finding one among them, one request at a time.
// They grow with how many the person has, which is 10 and 10,000, and not with how many there are.
//
// # Growth: Scale
//
// The same request is sent to 10,000 customers and, with -million, to 1,000,000 in turns, one at a time. Some rows are
// planted, so that a search or a property finds 1, 50 or 1,000 customers in either. The figures are median latencies;
// "ratio" is that of the many by that of the few and should be 1.5 or less, for get, page, search and property by the
// number they find. What finds more among more, has a subtree to collect or a total to count is measured to be known.
//
// With -million the plans of the statements are logged (add -v to have them in full), and a list that reads more
// than half of the table, as its plan tells, fails the benchmark, however fast it was, unless it is known to do so.
//
// # Whole lists: Exports
//
// Everything is downloaded as CSV: 100,000 domains or, with -million, 1,000,000, which lie in the table in another order
// than in the file; and as many customers, with all columns but the properties. The reference is a bare client that has
// the database COPY the same columns of the same rows in the same order to it, as text, and throws them away. They take
// turns, a whole file each, five times at least. "ratio" is the median of the product's rows per second by the
// reference's:
//
//	rows/s by copied/s     ratio                    0.7 or more for domains
//	ms-first-byte          of the slowest of these  less than 200
//	ms-slowest-first-byte  filtered and sorted      less than 200, whatever there is to look through for the first row
//	MB-grown               in use at most           less than 32
//
// The first byte is that of the body. The memory is the heap and the stacks that are in use in this process, in which
// both the product and its client run, beyond what they were before; it is the most of all downloads.
//
// # Whole files in: Imports
//
// A CSV file of 50,000 customers or, with -million, 1,000,000, with ten columns, is sent to the program and imported as
// any other: received, stored, checked row by row, written with an event each, step by step by the queue. The reference
// is a COPY of just the rows that the program has written into the same two tables with the same indexes, in one
// transaction and from a file that has all columns ready. Each has a database of its own on one server that waits for
// the disk, and its tables are emptied before each round. They take turns, three times at least and once with -million:
//
//	ratio               rows per second by those of the COPY, the upload counted in  0.3 or more
//	s-without-progress  between two steps that can be seen, at most                   less than 5
//	MB-peak             the most that the program has, without the database           less than 128
//
// A sign-in needs as much memory for a moment as an import does, and is over before the peak is looked for. The log
// tells the rows per second of each tenth of a file: they should not become fewer. Most of the time of both
// goes into the indexes, which is why a COPY is no faster than it is.
//
// # Files of jobs: JobFiles
//
// The input of a job, of 64 MiB or, with -gib, of 1 GiB, is uploaded and downloaded again, five times at least. The reference
// is a bare handler on the same disk: what comes it hashes, and has on the disk before it answers; what goes it leaves to
// net/http, which has the system send the file without reading it. They take turns; the ratios are those of the megabytes
// per second:
//
//	ratio-up    0.7 or more; the product hashes and waits for the disk as well, and looks for a PDF's end on the way
//	ratio-down  0.7 or more
//	MB-grown    the most memory that the program has beyond what it had before: less than 32
//
// # Customers as archives: Backups
//
// A customer is backed up whose jobs have 8 files of 32 MiB or, with -million, 64; and one with 2,000 files of 2 KiB or, with
// -million, 10,000. The reference is zip -0, which copies just these files into an archive and knows nothing else of them; a
// loop around archive/zip stands in for it where there is none. Both have their bytes thrown away by this process, and find
// the files in the system's cache:
//
//	ratio     MB/s by zipped-MB/s                               0.7 or more for large files
//	files/s   of small files, each of which is opened, hashed and held against its row
//	MB-grown  the most that the program has, beyond what it had  less than 32
//
// # Events: Feed, Waiting, Webhooks
//
// Feed reads pages of 200 events anywhere among 50,000, beside a reference that runs the statement and writes the same JSON.
// "ratio" should be 0.6 or more, and "events/s" 10,000.
//
// Waiting reads customers, as Get does, while 500 callers wait for events, and five endpoints of webhooks for something to
// happen, beside the same product without these. "ratio" should be 0.9 or more.
//
// Webhooks writes a thousand events at once and counts how many requests a second reach five endpoints of a receiver in this
// process, on a server that waits for the disk. "deliveries/s" should be 500 or more.
//
// # The program: Program
//
// Built and started as it is: "s-to-ready" should be less than 3, and "MB-idle", the memory of the program without the
// database's processes after three seconds, less than 60.
//
// # Sign-ins: SignIns
//
// Twenty people sign in to the portal all the time, with a login each or all with one, while 16 other clients read one
// customer a hundred times a second each. "ratio" is the median latency of the reads by that without sign-ins, in
// turns, and should be 5 or less; "MB-peak", the most memory that the program ever had, without the database's
// processes, less than 400. "sign-ins/s" grows with the speed of a core, and no further than with four of them. The
// program is the one that is built. All that sign in come from one address; a login that has signed in from there
// before may try so often at once without being told to wait.
//
// The median says little of the slowest reads: on a machine of two cores one of them hashes all the time, and a read
// that finds the other busy waits for the scheduler. The log of the benchmark says what 99 of a hundred take at most.
//
// # Noise
//
// The log of a benchmark says between which values the middle half of its ratios lies. When that is far apart, the
// machine had something else to do: run it again, or for longer with -benchtime 30s. Where the time goes is seen with
// -cpuprofile; the product's part of the profile is below Echo's ServeHTTP, the reference's below this package's.
package bench
