// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "../src/Ledger.sol";

/// @title Deposits and bonds are always covered: a proof by induction, verb by verb
/// @notice The state is what the ComputeContract's verbs book, with the token's balance beside it;
/// the arithmetic is the ComputeContract's own (Ledger). Each function begins in any state that is
/// `sound`, does what a verb does with any arguments, and must end in a sound state. `paysOut` says
/// what soundness is for. No settlement is assumed honest: its totals are any numbers that do not
/// fall. The deposits are one, and all the others together, which obey the same bounds in sum.
contract LedgerProof {
    struct Deposit {
        uint256 deposited;
        uint256 withdrawn;
        uint256 collected;
    }

    uint256 private constant MOST = 2 ** 128;

    /// The token's books: what the contract holds, and what reached it by plain transfers.
    uint256 private balance;
    uint256 private gifts;
    uint256 private claimed;

    uint256 private held;
    uint256 private limit;
    uint256 private fundedCompute;
    uint256 private fundedCommunity;
    uint256 private repaid;
    uint256 private bonds;
    uint256 private collectedSum;
    uint256 private granted;
    uint256 private paid;
    Deposit private one;
    Deposit private others;

    /// The beginning: nothing anywhere.
    function begin() external view {
        require(balance == 0 && gifts == 0 && claimed == 0 && held == 0 && limit == 0);
        require(fundedCompute == 0 && fundedCommunity == 0 && repaid == 0 && bonds == 0);
        require(collectedSum == 0 && granted == 0 && paid == 0);
        require(one.deposited == 0 && one.withdrawn == 0 && one.collected == 0);
        require(others.deposited == 0 && others.withdrawn == 0 && others.collected == 0);
        assert(sound());
    }

    /// Every deposit not collected and every bond can be paid out at once, whatever was claimed.
    function paysOut() external view {
        require(small() && sound());
        uint256 first = Ledger.uncollected(one.deposited, one.withdrawn, one.collected);
        uint256 rest = Ledger.uncollected(others.deposited, others.withdrawn, others.collected);
        assert(balance >= first + rest + bonds);
        // MOR held = funding less repayments + deposits + bonds - claims (+ gifts): no wei is lost.
        uint256 net = one.deposited - one.withdrawn + others.deposited - others.withdrawn;
        uint256 funded = fundedCompute + fundedCommunity;
        assert(balance + claimed + repaid == funded + net + bonds + gifts);
        assert(Ledger.netDeposits(held, funded, repaid, bonds) == net);
        // Claims are within final totals; those paid by deposits within what was collected, but for
        // one float, so that false totals draw no more from the pool.
        uint256 float = fundedCompute / Ledger.FLOAT_DIVISOR;
        assert(claimed <= granted + paid + gifts);
        assert(claimed <= granted + collectedSum + float + gifts);
    }

    function fund(uint256 amount, bool community) external {
        require(small() && sound());
        require(amount < MOST);
        if (community) fundedCommunity += amount;
        else fundedCompute += amount;
        held += amount;
        balance += amount;
        assert(sound());
    }

    function gift(uint256 amount) external {
        require(small() && sound());
        require(amount < MOST);
        gifts += amount;
        balance += amount;
        assert(sound());
    }

    function deposit(uint256 amount, bool first) external {
        require(small() && sound());
        require(amount < MOST);
        if (first) one.deposited += amount;
        else others.deposited += amount;
        held += amount;
        balance += amount;
        assert(sound());
    }

    /// A withdrawal, by announcement or by the hatch, or a Session paid by it.
    function payOut(uint256 amount, bool first) external {
        require(small() && sound());
        if (first) {
            uint256 free = Ledger.uncollected(one.deposited, one.withdrawn, one.collected);
            if (amount > free) amount = free;
            one.withdrawn += amount;
        } else {
            uint256 free = Ledger.uncollected(others.deposited, others.withdrawn, others.collected);
            if (amount > free) amount = free;
            others.withdrawn += amount;
        }
        held -= amount;
        balance -= amount;
        assert(sound());
    }

    function demand(uint256 bond) external {
        require(small() && sound());
        require(bond < MOST);
        bonds += bond;
        held += bond;
        balance += bond;
        assert(sound());
    }

    /// An answer, or a bond returned.
    function returnBond(uint256 bond) external {
        require(small() && sound());
        require(bond <= bonds);
        bonds -= bond;
        held -= bond;
        balance -= bond;
        assert(sound());
    }

    function collect(uint256 cumulativeDebit) external {
        require(small() && sound());
        uint256 owed = Ledger.collectable(
            cumulativeDebit, one.deposited, one.withdrawn, one.collected
        );
        collectedSum += owed - one.collected;
        one.collected = owed;
        limit = Ledger.limitDown(
            granted, paid, collectedSum, fundedCompute, fundedCommunity, repaid
        );
        assert(sound());
    }

    function collectFromOthers(uint256 more) external {
        require(small() && sound());
        require(more <= Ledger.uncollected(others.deposited, others.withdrawn, others.collected));
        collectedSum += more;
        others.collected += more;
        limit = Ledger.limitDown(
            granted, paid, collectedSum, fundedCompute, fundedCommunity, repaid
        );
        assert(sound());
    }

    /// A settlement becomes final, true or false, and its poster is repaid if that can be.
    function finalise(uint256 newGranted, uint256 newPaid, uint256 repayment) external {
        require(small() && sound());
        require(newGranted < MOST && newPaid < MOST && repayment < MOST);
        require(newGranted >= granted && newPaid >= paid);
        granted = newGranted;
        paid = newPaid;
        uint256 free = Ledger.freeMoney(fundedCompute + fundedCommunity, collectedSum, repaid);
        if (Ledger.repayable(repayment, balance, held, free)) {
            repaid += repayment;
            held -= repayment;
            balance -= repayment;
        }
        limit = Ledger.limitDown(
            granted, paid, collectedSum, fundedCompute, fundedCommunity, repaid
        );
        assert(sound());
    }

    function claim(uint256 amount) external {
        require(small() && sound());
        require(amount <= Ledger.claimable(balance, held, limit));
        claimed += amount;
        balance -= amount;
        assert(sound());
    }

    /// Far above all MOR there can be, so that no sum wraps: an assumption about the token, not a
    /// part of the invariant.
    function small() private view returns (bool) {
        return balance < MOST && gifts < MOST && claimed < MOST && held < MOST && limit < MOST
            && granted < MOST && paid < MOST && fundedCompute < MOST && fundedCommunity < MOST
            && repaid < MOST && bonds < MOST && collectedSum < MOST && one.deposited < MOST
            && others.deposited < MOST;
    }

    /// The invariant; see `paysOut` for what it gives.
    function sound() private view returns (bool) {
        if (one.withdrawn > one.deposited || others.withdrawn > others.deposited) return false;
        uint256 firstNet = one.deposited - one.withdrawn;
        uint256 restNet = others.deposited - others.withdrawn;
        if (one.collected > firstNet || others.collected > restNet) return false;
        uint256 funded = fundedCompute + fundedCommunity;
        return collectedSum == one.collected + others.collected
            && held + repaid == funded + bonds + firstNet + restNet
            && balance + claimed == held + gifts
            && claimed <= limit + gifts
            && limit + repaid <= funded + collectedSum
            && limit <= granted + paid
            && limit <= granted + collectedSum + fundedCompute / Ledger.FLOAT_DIVISOR;
    }
}
