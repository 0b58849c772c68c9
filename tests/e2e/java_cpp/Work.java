import dev.outrigger.Context;
import dev.outrigger.Fail;
import dev.outrigger.Outrigger;
import dev.outrigger.Retry;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;

/** A handler that notes its calls and does what the payload says; the notes are as the tests' other handlers write them. */
final class Work {
    public static void main(String[] arguments) throws IOException {
        note("start " + ProcessHandle.current().pid());
        Outrigger.serve(Work::process);
    }

    private static Object process(Map<String, Object> payload, Context context) throws Exception {
        note("call " + context.actor() + " " + context.id() + " " + ProcessHandle.current().pid() + " 0");
        if (payload.containsKey("fail")) {
            throw new Fail("bad_input", (String) payload.get("fail"));
        }
        if (payload.containsKey("retry") && context.attempt() < 2) {
            throw new Retry("not yet");
        }
        while (payload.containsKey("gated") && !Files.exists(Path.of("gate"))) {
            Thread.sleep(5);
        }
        if (payload.get("copies") instanceof Long copies) {
            return Collections.nCopies(copies.intValue(), payload);
        }
        return Map.of("done", payload, "attempt", context.attempt());
    }

    private static synchronized void note(String line) throws IOException {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        Files.write(Path.of("notes"), bytes, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private Work() {}
}
