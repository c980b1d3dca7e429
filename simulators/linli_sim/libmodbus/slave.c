/* Modbus units on Debian's libmodbus: a device stack that shares nothing with the gateway's client.
 *
 * What the units hold and how they behave comes as lines, first from a file, then on standard input; each line on
 * standard input is answered with "ok" or "error: ...". TABLE is coil, discrete, holding or input.
 *
 *   TABLE UNIT ADDRESS VALUE...     store values; an address that was never stored is a hole
 *   hole TABLE UNIT ADDRESS COUNT   make addresses holes again
 *   most UNIT COUNT                 more registers (or 16 times as many bits) in one read are refused
 *   functions UNIT CODE...          other functions are refused; none: all allowed
 *   writable UNIT 0|1               whether functions 5, 6, 15, 16, 22 and 23 are carried out
 *   silent UNIT 0|1                 say nothing
 *   delay UNIT MICROSECONDS         wait before each answer; the line serves nobody else meanwhile, as a bus does
 *   exception UNIT CODE             answer everything with an exception; 0: no more
 *   count UNIT                      print "count N": requests that the unit has seen
 *
 * Requests are parsed, checked and answered by libmodbus; the refusals above it are libmodbus's exception frames.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

enum { ADDRESSES = 65536, UNITS = 256, LINES = 256, CLIENTS = 64, TEXT = 65536 };
enum { COIL, DISCRETE, HOLDING, INPUT, TABLES };

static const char *const TABLE_NAMES[TABLES] = {"coil", "discrete", "holding", "input"};

struct unit {
    modbus_mapping_t *memory;
    uint8_t *present[TABLES];
    int most;
    bool allowed[128];
    bool any_function;
    bool writable;
    bool silent;
    long delay;
    int exception;
    unsigned long requests;
};

static struct unit *units[UNITS];

static struct unit *unit_at(long number)
{
    if (number < 0 || number >= UNITS)
        return NULL;
    if (units[number] == NULL) {
        struct unit *made = calloc(1, sizeof *made);
        if (made == NULL)
            return NULL;
        made->memory = modbus_mapping_new(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES);
        made->most = MODBUS_MAX_READ_REGISTERS;
        made->any_function = true;
        for (int table = 0; table < TABLES; table++)
            made->present[table] = calloc(ADDRESSES, 1);
        if (made->memory == NULL || made->present[COIL] == NULL || made->present[DISCRETE] == NULL
            || made->present[HOLDING] == NULL || made->present[INPUT] == NULL) {
            fputs("out of memory\n", stderr);
            exit(1);
        }
        units[number] = made;
    }
    return units[number];
}

static int table_named(const char *word)
{
    for (int table = 0; table < TABLES; table++)
        if (word != NULL && strcmp(word, TABLE_NAMES[table]) == 0)
            return table;
    return -1;
}

static bool number_in(char **rest, long lowest, long highest, long *number)
{
    char *word = strtok_r(NULL, " \t\r\n", rest), *end;
    if (word == NULL)
        return false;
    errno = 0;
    *number = strtol(word, &end, 0);
    return errno == 0 && *end == '\0' && *number >= lowest && *number <= highest;
}

static void store(struct unit *unit, int table, long address, long value)
{
    unit->present[table][address] = 1;
    switch (table) {
    case COIL: unit->memory->tab_bits[address] = value != 0; break;
    case DISCRETE: unit->memory->tab_input_bits[address] = value != 0; break;
    case HOLDING: unit->memory->tab_registers[address] = (uint16_t)value; break;
    default: unit->memory->tab_input_registers[address] = (uint16_t)value; break;
    }
}

/* Carry out one line; NULL: done, else what is wrong with it. */
static const char *carry_out(char *line)
{
    char *rest, *verb = strtok_r(line, " \t\r\n", &rest);
    long number, address, count, value;
    if (verb == NULL || *verb == '#')
        return NULL;
    bool hole = strcmp(verb, "hole") == 0;
    int table = table_named(hole ? strtok_r(NULL, " \t\r\n", &rest) : verb);
    if (hole && table < 0)
        return "no such table";
    if (!number_in(&rest, 0, UNITS - 1, &number))
        return "no unit id";
    struct unit *unit = unit_at(number);
    if (unit == NULL)
        return "out of memory";
    if (table >= 0) {
        if (!number_in(&rest, 0, ADDRESSES - 1, &address))
            return "no address";
        if (hole) {
            if (!number_in(&rest, 1, ADDRESSES - address, &count))
                return "no count";
            memset(unit->present[table] + address, 0, (size_t)count);
            return NULL;
        }
        for (; number_in(&rest, 0, 0xFFFF, &value); address++) {
            if (address >= ADDRESSES)
                return "behind the last address";
            store(unit, table, address, value);
        }
        return NULL;
    }
    if (strcmp(verb, "functions") == 0) {
        memset(unit->allowed, 0, sizeof unit->allowed);
        unit->any_function = true;
        while (number_in(&rest, 1, 127, &value)) {
            unit->any_function = false;
            unit->allowed[value] = true;
        }
        return NULL;
    }
    if (strcmp(verb, "count") == 0) {
        printf("count %lu\n", unit->requests);
        return NULL;
    }
    if (!number_in(&rest, 0, 60000000, &value))
        return "no number";
    if (strcmp(verb, "most") == 0)
        unit->most = (int)value;
    else if (strcmp(verb, "writable") == 0)
        unit->writable = value != 0;
    else if (strcmp(verb, "silent") == 0)
        unit->silent = value != 0;
    else if (strcmp(verb, "delay") == 0)
        unit->delay = value;
    else if (strcmp(verb, "exception") == 0)
        unit->exception = (int)value;
    else
        return "no such word";
    return NULL;
}

static void load(const char *path)
{
    static char line[TEXT];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        const char *wrong = carry_out(line);
        if (wrong != NULL) {
            fprintf(stderr, "%s:%d: %s\n", path, number, wrong);
            exit(2);
        }
    }
    fclose(file);
}

/* The exception that a unit's own limits demand; 0: let libmodbus answer. */
static unsigned int refusal(const struct unit *unit, const uint8_t *pdu, int length)
{
    static const int TABLE_OF[] = {-1, COIL, DISCRETE, HOLDING, INPUT, COIL, HOLDING};
    int function = pdu[0];
    bool writes = function == 5 || function == 6 || function == 15 || function == 16 || function == 22
                  || function == 23;
    if (unit->exception != 0)
        return (unsigned int)unit->exception;
    if ((!unit->any_function && !unit->allowed[function & 127]) || (writes && !unit->writable))
        return MODBUS_EXCEPTION_ILLEGAL_FUNCTION;
    if (length < 5)
        return 0;
    int table = function <= 6 ? TABLE_OF[function] : function == 15 ? COIL : function == 16 ? HOLDING : -1;
    if (table < 0)
        return 0;
    long address = pdu[1] << 8 | pdu[2];
    long count = function == 5 || function == 6 ? 1 : pdu[3] << 8 | pdu[4];
    if (function <= 4 && count > (table <= DISCRETE ? 16L * unit->most : unit->most))
        return MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE;
    for (long place = address; place < address + count && place < ADDRESSES; place++)
        if (!unit->present[table][place])
            return MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS;
    return 0;
}

static void rest_for(long microseconds)
{
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* Answer one request that libmodbus took off the wire. */
static void answer(modbus_t *context, const uint8_t *request, int length)
{
    int header = modbus_get_header_length(context);
    struct unit *unit = units[request[header - 1]];
    if (unit == NULL)
        return;
    unit->requests++;
    if (unit->silent)
        return;
    if (unit->delay > 0)
        rest_for(unit->delay);
    unsigned int code = refusal(unit, request + header, length - header);
    if (code != 0)
        modbus_reply_exception(context, request, code);
    else
        modbus_reply(context, request, length, unit->memory);
}

static modbus_t *lines[LINES];
static int line_count;

static void add_line(const char *argument)
{
    char *equals;
    long unit = strtol(argument, &equals, 10);
    if (*equals != '=' || unit < 1 || unit > 247 || line_count == LINES) {
        fprintf(stderr, "--line %s: write UNIT=PATH\n", argument);
        exit(2);
    }
    modbus_t *context = modbus_new_rtu(equals + 1, 115200, 'N', 8, 1);
    if (context == NULL || modbus_set_slave(context, (int)unit) != 0 || modbus_connect(context) != 0) {
        fprintf(stderr, "%s: %s\n", argument, modbus_strerror(errno));
        exit(2);
    }
    unit_at(unit);
    lines[line_count++] = context;
}

static void take_command(void)
{
    static char text[TEXT];
    static size_t held;
    ssize_t got = read(STDIN_FILENO, text + held, sizeof text - 1 - held);
    if (got <= 0)
        exit(0);
    held += (size_t)got;
    text[held] = '\0';
    char *start = text, *end;
    while ((end = strchr(start, '\n')) != NULL) {
        *end = '\0';
        const char *wrong = carry_out(start);
        printf(wrong == NULL ? "ok\n" : "error: %s\n", wrong);
        start = end + 1;
    }
    fflush(stdout);
    held -= (size_t)(start - text);
    memmove(text, start, held);
    if (held == sizeof text - 1)
        held = 0;
}

int main(int argc, char **argv)
{
    uint8_t request[MODBUS_MAX_ADU_LENGTH];
    struct pollfd watched[2 + LINES + CLIENTS];
    int clients[CLIENTS], client_count = 0, listening = -1;
    bool commands = false;
    modbus_t *tcp = NULL;

    signal(SIGPIPE, SIG_IGN);
    for (int place = 1; place < argc; place++) {
        const char *value = place + 1 < argc ? argv[place + 1] : "";
        if (strcmp(argv[place], "--commands") == 0) {
            commands = true;
            continue;
        }
        if (strcmp(argv[place], "--tcp") == 0) {
            tcp = modbus_new_tcp("127.0.0.1", atoi(value));
            listening = tcp == NULL ? -1 : modbus_tcp_listen(tcp, CLIENTS);
            if (listening < 0) {
                fprintf(stderr, "--tcp %s: %s\n", value, modbus_strerror(errno));
                return 2;
            }
        } else if (strcmp(argv[place], "--line") == 0) {
            add_line(value);
        } else if (strcmp(argv[place], "--map") == 0) {
            load(value);
        } else {
            fprintf(stderr, "usage: %s [--map FILE] [--tcp PORT] [--line UNIT=PATH]... [--commands]\n", argv[0]);
            return 2;
        }
        place++;
    }
    if (listening >= 0) {
        struct sockaddr_in bound;
        socklen_t size = sizeof bound;
        getsockname(listening, (struct sockaddr *)&bound, &size);
        printf("ready on 127.0.0.1:%d\n", ntohs(bound.sin_port));
    } else {
        printf("ready on %d lines\n", line_count);
    }
    fflush(stdout);

    for (;;) {
        int count = 0, first_client;
        watched[count++] = (struct pollfd){commands ? STDIN_FILENO : -1, POLLIN, 0};
        watched[count++] = (struct pollfd){listening, POLLIN, 0};
        for (int place = 0; place < line_count; place++)
            watched[count++] = (struct pollfd){modbus_get_socket(lines[place]), POLLIN, 0};
        first_client = count;
        for (int place = 0; place < client_count; place++)
            watched[count++] = (struct pollfd){clients[place], POLLIN, 0};
        if (poll(watched, (nfds_t)count, -1) < 0)
            return errno == EINTR ? 0 : 1;
        if (watched[0].revents)
            take_command();
        for (int place = 0; place < line_count; place++) {
            short happened = watched[2 + place].revents;
            if (happened & POLLIN) {
                int length = modbus_receive(lines[place], request);
                if (length > 0)
                    answer(lines[place], request, length);
                else if (length < 0)
                    modbus_flush(lines[place]);
            } else if (happened) {
                return 0; /* the other end of the line is gone */
            }
        }
        int kept = 0;
        for (int place = 0; place < client_count; place++) {
            bool stays = true;
            if (watched[first_client + place].revents) {
                modbus_set_socket(tcp, clients[place]);
                int length = modbus_receive(tcp, request);
                if (length > 0)
                    answer(tcp, request, length);
                stays = length >= 0;
            }
            if (stays)
                clients[kept++] = clients[place];
            else
                close(clients[place]);
        }
        client_count = kept;
        if (watched[1].revents) {
            int accepted = accept(listening, NULL, NULL);
            if (accepted >= 0 && client_count < CLIENTS)
                clients[client_count++] = accepted;
            else if (accepted >= 0)
                close(accepted);
        }
    }
}
