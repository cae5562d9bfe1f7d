    // What `toolchain.fixedpoint.lif_step` says of one neuron, in the 32 bits that it computes in. A solver shows that
    // every assertion holds after any cycle from any state: these lines are put at the end of the module for it.
    reg began = 1'b0;
    always @(posedge clock) began <= 1'b1;

    localparam signed [31:0] HALF = 32'sd8388608, WHOLE = 32'sd16777216;

    // What is left of a state is no larger than the state, which `test_decay` shows; and 25 bits are only given to
    // currents of at most 2^18 a step, which the size of the core sees to.
    wire signed [31:0] kept32 = kept;
    wire signed [31:0] sum32  = $signed(sum);
    always @(*)
        if (CURRENT_BITS == 25) begin
            assume (kept32 <= HALF && kept32 >= -HALF);
            assume (!add_input || (sum32 <= 32'sd262144 && sum32 >= -32'sd262144));
        end

    // u' = wrap(decay(u) + (a << 6))
    wire signed [31:0] driven32  = kept32 + (sum32 <<< 6);
    wire signed [31:0] fallen32  = driven32 > HALF ? driven32 - WHOLE : driven32;
    wire signed [31:0] wrapped32 = driven32 <= -HALF ? driven32 + WHOLE : fallen32;
    wire signed [31:0] u32       = $signed(next_u);
    reg  signed [31:0] expected_u;
    reg                checks_u = 1'b0;
    always @(posedge clock) begin
        checks_u   <= add_input;
        expected_u <= wrapped32;
    end
    always @(*) if (checks_u) assert (u32 == expected_u && $signed(current) == expected_u);

    // v' = saturate(decay(v) + u' + bias), or v while the neuron is refractory
    wire signed [31:0] raised32 = kept32 + u32 + $signed(bias);
    wire signed [31:0] clipped32 = raised32 > HALF - 1 ? HALF - 1 : raised32 < 1 - HALF ? 1 - HALF : raised32;
    reg  signed [31:0] expected_v;
    reg                checks_v = 1'b0;
    always @(posedge clock) begin
        checks_v   <= add_current;
        expected_v <= active ? clipped32 : $signed(v);
    end
    always @(*)
        if (checks_v) begin
            assert ($signed(potential) == expected_v);
            assert (count == 8'd0);
        end

    // s = v' > (vth << 6) + rise, for a neuron that is active; each cycle is one spike.
    wire signed [31:0] potential32 = $signed(potential);
    wire signed [31:0] vth32       = {15'd0, vth};
`ifdef PLAIN
    wire signed [31:0] threshold32 = vth32 <<< 6;
    wire signed [31:0] after32     = 32'sd0;
    wire               awake       = 1'b1;
    wire         [7:0] limit       = 8'd1;
`else
    wire signed [31:0] amount32    = $signed({parameters[87:80], parameters[79:64]});
    wire signed [31:0] rise32      = {9'd0, state[CURRENT_BITS+58:CURRENT_BITS+36]};
    wire signed [31:0] threshold32 = (vth32 <<< 6) + rise32;
    wire signed [31:0] after32     = effect == 2'd0 ? 32'sd0
                                   : effect == 2'd1 ? amount32
                                   : effect == 2'd2 ? potential32 - amount32
                                   : potential32;
    wire               awake       = state[CURRENT_BITS+35:CURRENT_BITS+24] == 12'd0;
    wire         [7:0] limit       = most;

    // Only a subtraction that takes something ends.
    always @(*) if (effect == 2'd2) assume (amount32 >= 0);
`endif
    always @(*) assert (above == (awake && count < limit && potential32 > threshold32));

    reg signed [31:0] expected_after;
    reg         [7:0] expected_count;
    reg               checks_spike = 1'b0;
    always @(posedge clock) begin
        checks_spike   <= spike && !add_current && above;
        expected_after <= after32;
        expected_count <= count + 8'd1;
    end
    always @(*)
        if (checks_spike) begin
            assert ($signed(potential) == expected_after);
            assert (count == expected_count);
        end

`ifndef PLAIN
    // h' = min(decay(h) + k n, 2^23 - 1), one spike after the other; and the steps that are left to wait.
    wire signed [31:0] more32 = {9'd0, `RISE} + {9'd0, parameters[150:144], parameters[127:112]};
    reg  signed [31:0] expected_rise;
    reg                checks_rise = 1'b0;
    always @(posedge clock) begin
        checks_rise   <= add_rise || (spike && above && adapts);
        expected_rise <= add_rise ? (adapts ? {9'd0, kept[22:0]} : 32'sd0) : more32 > HALF - 1 ? HALF - 1 : more32;
    end
    always @(*) if (checks_rise) assert ({9'd0, `RISE} == expected_rise);

    wire [11:0] waited   = state[CURRENT_BITS+35:CURRENT_BITS+24];
    wire [11:0] to_wait  = count != 8'd0 && refractory ? parameters[107:96] : waited == 12'd0 ? 12'd0 : waited - 12'd1;
    always @(*) assert (next_state == {`RISE, to_wait, potential, next_u});
`else
    always @(*) assert (next_state == {potential, next_u});
`endif
