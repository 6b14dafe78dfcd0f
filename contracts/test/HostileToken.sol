// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that calls back in the middle of each transfer, or keeps a part of it
/// @dev Put over DevMor's address, so balances stay where they were.
contract HostileToken is ERC20 {
    struct Plan {
        address target;
        bytes call;
        uint256 kept;
        uint256 attempts;
        uint256 successes;
        bytes answer;
    }

    constructor() ERC20("", "") {}

    function arm(address target, bytes calldata call_, uint256 kept) external {
        Plan storage plan = _plan();
        (plan.target, plan.call, plan.kept) = (target, call_, kept);
        (plan.attempts, plan.successes) = (0, 0);
    }

    function outcome() external view returns (uint256, uint256, bytes memory) {
        return (_plan().attempts, _plan().successes, _plan().answer);
    }

    function _update(address from, address to, uint256 value) internal override {
        Plan storage plan = _plan();
        super._update(from, to, value - plan.kept);
        if (plan.target == address(0)) return;
        ++plan.attempts;
        (bool done, bytes memory answer) = plan.target.call(plan.call);
        plan.answer = answer;
        if (done) ++plan.successes;
    }

    function _plan() private pure returns (Plan storage plan) {
        bytes32 slot = keccak256("hostile");
        assembly ("memory-safe") {
            plan.slot := slot
        }
    }
}
