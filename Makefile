# Tombolo: make (build) | make run (demo) | make test (all tests) | see README.md for the rest.
V     ?= release
B     := build/$(V)
ROOMS := base wire config tls queue routing auth connectors smtpd milter
PROGS := tombolod tombolo tombolo-auth tombolo-milter
MAINS := smtpd/main.c smtpd/cli.c auth/main.c milter/main.c milter/margin.c
PREFIX  ?= /usr/local
DESTDIR ?=

SRC   := $(filter-out %_test.c $(MAINS),$(wildcard $(ROOMS:%=%/*.c)))
OBJ   := $(SRC:%.c=$(B)/%.o)
LIB   := $(B)/libtombolo.a
UNIT  := $(patsubst %.c,$(B)/%,$(wildcard $(ROOMS:%=%/*_test.c)))
FUZZ  := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*_fuzz.c))
TOOLS := $(patsubst %.c,$(B)/%,$(filter-out tests/tools/vectors_%.c,$(wildcard tests/tools/*.c perf/*.c)))
# what the tools share: a small SMTP server and client, the parts of the scenario player and the test bed, the vectors
KIT   := $(patsubst %.c,$(B)/%.o,$(wildcard tests/kit/*.c tests/play/*.c tests/bed/*.c tests/tools/vectors_*.c))

CC     := gcc
CFLAGS := -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Werror -pthread -fPIE -I. -MMD -MP -include tests/lint/banned.h
F.release := -O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection
F.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
F.tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS += $(F.$(V))
LDFLAGS := $(filter -f%,$(F.$(V))) -pthread -pie -Wl,-z,relro,-z,now
# libev statically and before libunbound: it also exports libevent's names, which libunbound would then call;
# libcurl has forty libraries behind it, libspf2 and libopendkim read hostile bytes: only for programs that use them
LIBS  := -l:libev.a -lssl -lcrypto -llmdb -lunbound -lconfuse -ljansson -lidn2 -lunistring -lxxhash -lseccomp -lcap-ng -lm -Wl,--as-needed -lcurl -lspf2 -lopendkim

# one short line a file; make VERBOSE=1 shows the commands
Q    := $(if $(VERBOSE),,@)

.PHONY: all test lint analyse check-asan check-tsan check-tsan-load fuzz crash torture perf perf-delivery perf-auth interop vectors run install doc clean deps
all: deps $(PROGS:%=$(B)/%)

deps: build/.deps
build/.deps: tests/deps.sh
	@sh tests/deps.sh build
	@mkdir -p build && touch $@

$(B)/%.o: %.c | deps
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(LIB): $(OBJ)
	@rm -f $@ && ar qcs $@ $^
$(B)/tombolod: $(B)/smtpd/main.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tombolo: $(B)/smtpd/cli.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tombolo-auth: $(B)/auth/main.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
# libmilter statically: its malloc is ours (milter/margin.c)
$(B)/tombolo-milter: $(B)/milter/main.o $(B)/milter/margin.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=malloc -o $@ $^ $(LIBS) -l:libmilter.a
# the gateway the tests drive: the same objects on a clock that the test moves
$(B)/tombolod-test: $(B)/smtpd/main.o $(B)/tests/fake_clock.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(UNIT): %: %.o $(B)/libkit.a $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(B)/libkit.a: $(KIT)
	@rm -f $@ && ar qcs $@ $^
$(TOOLS): %: %.o $(B)/libkit.a $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(FUZZ): %: %.o $(B)/tests/fuzz/replay.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# between a process and its disk; never with a sanitizer, whose runtime wants to be first
$(B)/tests/powerloss.so: tests/powerloss/preload.c tests/powerloss/journal.h
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -O2 -g -fPIC -shared -pthread -I. -o $@ $< -ldl
$(B)/tests/powerloss_image: $(B)/tests/powerloss/image.o $(LIB)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

tests-built: deps $(PROGS:%=$(B)/%) $(B)/tombolod-test $(UNIT) $(FUZZ) $(TOOLS) $(B)/tests/powerloss.so $(B)/tests/powerloss_image
test:
	@$(MAKE) -j2 --no-print-directory tests-built
	@sh tests/run $(B)
check-asan:
	@$(MAKE) --no-print-directory V=asan test
check-tsan:
	@$(MAKE) --no-print-directory V=tsan test
check-tsan-load:
	@$(MAKE) -j2 --no-print-directory V=tsan all build/tsan/perf/sink build/tsan/perf/swarm build/tsan/tests/tools/send
	@bash tests/races.sh build/tsan $(or $(T),60)
analyse: deps
	@sh tests/analyse.sh
lint: deps
	@sh tests/lint/lint.sh
vectors:
	@$(MAKE) -j2 --no-print-directory deps $(B)/tests/tools/vectors
	@$(B)/tests/tools/vectors $(or $(DIR),tests/vectors)
fuzz:
	@sh tests/fuzz/run.sh $(or $(T),60)
crash:
	@$(MAKE) -j2 --no-print-directory tests-built
	@sh tests/crash.sh $(B)
torture:
	@$(MAKE) -j2 --no-print-directory tests-built
	@sh tests/torture.sh $(B) $(T)
perf:
	@$(MAKE) -j2 --no-print-directory all $(TOOLS)
	@sh perf/run.sh $(B)
perf-delivery:
	@$(MAKE) -j2 --no-print-directory all $(TOOLS)
	@sh perf/drain.sh $(B)
	@sh perf/neighbours.sh $(B)
perf-auth:
	@$(MAKE) -j2 --no-print-directory all $(TOOLS)
	@sh perf/auth.sh $(B)
interop:
	@$(MAKE) -j2 --no-print-directory tests-built
	@sh tests/interop/run.sh $(B)
	@sh tests/interop/auth.sh $(B)
	@sh tests/interop/beside.sh $(B)
run:
	@$(MAKE) -s -j2 --no-print-directory all $(TOOLS)
	@sh tests/demo/run.sh $(B)
doc: all
	$(B)/tombolod --doc > docs/CONFIG.md
install: all
	install -D -m 755 $(B)/tombolod $(DESTDIR)$(PREFIX)/sbin/tombolod
	install -D -m 755 $(B)/tombolo-auth $(DESTDIR)$(PREFIX)/sbin/tombolo-auth
	install -D -m 755 $(B)/tombolo-milter $(DESTDIR)$(PREFIX)/sbin/tombolo-milter
	install -D -m 755 $(B)/tombolo $(DESTDIR)$(PREFIX)/bin/tombolo
	install -D -m 644 docs/tombolo.conf $(DESTDIR)/etc/tombolo/tombolo.conf.example
	install -D -m 644 docs/tombolod.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tombolod.service
	install -D -m 644 docs/tombolo-milter.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tombolo-milter.service
clean:
	rm -rf build
-include $(shell find build -name '*.d' -type f -not -path 'build/peers/*' 2>/dev/null)
